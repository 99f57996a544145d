package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	in := bufio.NewReader(os.Stdin)
	var n int
	fmt.Fscan(in, &n)
	var sum int32
	for i := 0; i < n; i++ {
		var number int64
		fmt.Fscan(in, &number)
		sum += int32(number)
	}
	fmt.Println(sum)
}
