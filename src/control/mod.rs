//! Requests, replies and the client of the control socket.
