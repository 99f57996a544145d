use std::io::Read;

fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    let sum = text.split_whitespace().skip(1).fold(0 as i64, |sum, word| {
        sum.wrapping_add(word.parse::<i64>().unwrap() as i64)
    });
    println!("{}", sum);
}
