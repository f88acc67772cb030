// Package hostile sends a running node requests that nobody means well by: valid requests of every
// interaction, mutated, and bombs, smuggled headers, slow clients and garbage on every door. After
// them the server answers, nothing was answered with 5xx, refusals say why under stable codes,
// memory and goroutines are back, the stores are whole and the log holds nothing of any body.
//
// Each request is made from a seed and its number alone, so that one that fails can be sent again:
//
//	go test ./test/hostile -hostile.seed=7 -hostile.only=1234
//
// What it cannot show: that a request which changed a store in a wrong but consistent way was
// taken for good; that is for the tests of the rooms.
package hostile
