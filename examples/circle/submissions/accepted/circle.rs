use std::f64::consts::PI;

fn main() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let r: f64 = line.trim().parse().unwrap();
    println!("{:.9} {:.9}", PI * r * r, 2.0 * PI * r);
}
