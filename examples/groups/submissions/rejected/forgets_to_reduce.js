let n = Number(require("fs").readFileSync(0, "utf8"));
let [a, b] = [0, 1];
while (n-- > 0) [a, b] = [b, a + b];
console.log(a);
