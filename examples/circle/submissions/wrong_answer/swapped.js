const r = Number(require("fs").readFileSync(0, "utf8"));
console.log(2 * Math.PI * r, Math.PI * r * r);
