//! logmon
fn main(){}
