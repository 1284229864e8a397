package badger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// span is a range of versions; empty when high is 0.
type span struct{ low, high uint64 }

func (s span) has(v uint64) bool { return s.high > 0 && s.low <= v && v <= s.high }

func (s *span) add(v uint64) {
	if s.high == 0 {
		s.low = v
	}
	s.low, s.high = min(s.low, v), max(s.high, v)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// inspectLogs reads the write-ahead logs, which are there after a crash, and
// returns the versions in them.
//
// Badger ends the replay of a log at the first entry that is not whole, and
// drops what follows. That is right for the end of the last transaction, which
// nobody was told had succeeded: transactions are synced one by one. Where more
// than one whole transaction ends later, the log was damaged.
func inspectLogs(dir string, files []string) (span, error) {
	var all span
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return span{}, fmt.Errorf("data directory %s cannot be read: %w", dir, err)
		}
		good, lost := inspectLog(data, &all)
		// A log has its full size from the start, and after a replay it ends
		// with a whole entry.
		short := len(data) > 0 && len(data) < 2*memTableSize && good != len(data)
		if lost > 1 || short {
			return span{}, damaged(dir, file, fmt.Errorf("from byte %d on; later commits would be lost", good))
		}
	}
	return all, nil
}

// The layout of Badger's logs: a header, then entries of meta byte, user meta
// byte, lengths of key and value and expiry as varints, key, value, checksum.
// The key that ends a transaction is a mark, with its version as any key has.
const (
	logHeader     = 20
	endMark       = "!badger!txn"
	endMarkKeyLen = len(endMark) + 8
	metaEnd       = 1 << 7
)

// inspectLog adds the versions of data's transactions to all. It returns how far
// the log is whole, and how many transactions end after that.
func inspectLog(data []byte, all *span) (good, lost int) {
	good = logHeader
	for good < len(data) {
		version, n := logEntry(data[good:])
		if n == 0 {
			break
		}
		if version > 0 {
			all.add(version)
		}
		good += n
	}
	if good >= len(data) {
		return good, 0
	}
	rest := bytes.TrimRight(data[good:], "\x00")
	rest = data[good:min(len(data), good+len(rest)+crc32.Size)] // a checksum may end in zeros
	for at := 0; ; {
		next := bytes.Index(rest[at:], []byte(endMark))
		if next < 0 {
			return good, lost
		}
		at += next
		// The lengths in front of the mark take one byte each.
		if at >= 5 {
			if version, _ := logEntry(rest[at-5:]); version > 0 {
				lost++
			}
		}
		at += len(endMark)
	}
}

// logEntry decodes the entry at the start of data. n is its length, 0 when it is
// not whole; version is set when it ends a transaction.
func logEntry(data []byte) (version uint64, n int) {
	if len(data) < 2 {
		return 0, 0
	}
	at := 2
	var lengths [3]uint64
	for i := range lengths {
		v, n := binary.Uvarint(data[at:])
		if n <= 0 {
			return 0, 0
		}
		lengths[i] = v
		at += n
	}
	key, value := lengths[0], lengths[1]
	left := uint64(len(data) - at)
	if key > 1<<16 || value > left || key+value+crc32.Size > left {
		return 0, 0
	}
	end := at + int(key+value)
	if crc32.Checksum(data[:end], castagnoli) != binary.BigEndian.Uint32(data[end:]) {
		return 0, 0
	}
	if data[0]&metaEnd != 0 && int(key) == endMarkKeyLen {
		version = ^binary.BigEndian.Uint64(data[at+len(endMark):])
	}
	return version, end + crc32.Size
}

// inspectIndex verifies the index at the end of a table: index, its length,
// checksum, its length. Badger ends the process over a bad one.
func inspectIndex(data []byte) error {
	rest := data
	cut := func() (part []byte) {
		if len(rest) < 4 {
			return nil
		}
		n := binary.BigEndian.Uint32(rest[len(rest)-4:])
		rest = rest[:len(rest)-4]
		if uint64(n) > uint64(len(rest)) {
			return nil
		}
		part, rest = rest[len(rest)-int(n):], rest[:len(rest)-int(n)]
		return part
	}
	sum, index := cut(), cut()
	if len(index) == 0 {
		return errors.New("its end is missing")
	}
	// The checksum is a protobuf message: field 1 the algorithm (0, CRC32C, is
	// left out), field 2 the sum.
	if len(sum) < 2 || sum[0] != 2<<3 {
		return errors.New("its index has no checksum")
	}
	if want, n := binary.Uvarint(sum[1:]); n != len(sum)-1 || want != uint64(crc32.Checksum(index, castagnoli)) {
		return errors.New("the checksum of its index is wrong")
	}
	return nil
}
