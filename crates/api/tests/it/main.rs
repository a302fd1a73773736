//! The clients through their public interface.

mod http;
