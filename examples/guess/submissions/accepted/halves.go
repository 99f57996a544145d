package main

import "fmt"

func main() {
	low, high := 1, 1000
	for {
		middle := (low + high) / 2
		fmt.Println(middle)
		var answer string
		fmt.Scan(&answer)
		switch answer {
		case "higher":
			low = middle + 1
		case "lower":
			high = middle - 1
		default:
			return
		}
	}
}
