//! One trainer process, and the devices of this machine.
