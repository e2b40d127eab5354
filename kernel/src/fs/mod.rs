//! Files. (Room for the file system.)
