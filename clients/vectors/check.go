// Checks a bucketing in Go against million.bin: go run check.go million.bin
package main

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
)

const (
	units   = 125_000
	buckets = 10_000
)

var salts = [...]string{"", "r-1", "r-2", "r-3a7f", "shop/answer|7", "a:b", "söder:malm", "巡回🎈"}

// name is the i-th unit.
func name(i uint32) string {
	switch i % 5 {
	case 0:
		return fmt.Sprintf("user-%d", i)
	case 1: // the product wraps around, as it must
		return fmt.Sprintf("%08x", i*2_654_435_761)
	case 2:
		return fmt.Sprintf("%d@example.org", i)
	case 3:
		return fmt.Sprintf("kundin ü %d", i)
	default:
		return fmt.Sprintf("利用者%d🙂", i)
	}
}

// murmur3 is MurmurHash3_x86_32 with seed 0.
func murmur3(data string) uint32 {
	var state uint32
	for at := 0; at < len(data); at += 4 {
		var word uint32
		for i := 0; i < 4 && at+i < len(data); i++ {
			word |= uint32(data[at+i]) << (8 * i)
		}
		state ^= bits.RotateLeft32(word*0xcc9e2d51, 15) * 0x1b873593
		if at+4 <= len(data) {
			state = bits.RotateLeft32(state, 13)*5 + 0xe6546b64
		}
	}
	state ^= uint32(len(data))
	state = (state ^ state>>16) * 0x85ebca6b
	state = (state ^ state>>13) * 0xc2b2ae35
	return state ^ state>>16
}

// bucket hashes the bytes of the strings, which are UTF-8 in Go.
func bucket(salt, unit string) uint32 {
	return murmur3(salt+":"+unit) % buckets
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}

func main() {
	told, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail("%v", err)
	}
	pairs := len(salts) * units
	if len(told) != 2*pairs {
		fail("%s has %d bytes, not %d", os.Args[1], len(told), 2*pairs)
	}
	for n := range pairs {
		salt, unit := salts[n/units], name(uint32(n%units))
		expected, found := uint32(binary.LittleEndian.Uint16(told[2*n:])), bucket(salt, unit)
		if found != expected {
			fail("pair %d, salt '%s', unit '%s': bucket %d, not %d", n, salt, unit, found, expected)
		}
	}
	fmt.Println(pairs, "pairs agree")
}
