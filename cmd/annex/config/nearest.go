package config

import "strings"

// nearest gives the candidate with the least edit distance to s. The case of
// letters counts little: it is what people get wrong most.
func nearest(s string, candidates []string) (best string, distance int) {
	distance = len(s) + 1000
	for _, c := range candidates {
		d := 2 * editDistance(strings.ToLower(s), strings.ToLower(c))
		if d == 0 && s != c {
			d = 1
		}
		// A key of a group that was written without the group.
		if i := strings.LastIndexByte(c, '.'); i >= 0 && strings.EqualFold(c[i+1:], s) {
			d = min(d, 2)
		}
		if d < distance {
			best, distance = c, d
		}
	}
	return best, (distance + 1) / 2
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
