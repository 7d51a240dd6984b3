pub fn main(_: Vec<String>) -> i32 {
    0
}
