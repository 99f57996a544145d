const words = require("fs").readFileSync(0, "utf8").trim().split(/\s+/).slice(1);
console.log(words.reduce((sum, word) => sum + BigInt(word), 0n).toString());
