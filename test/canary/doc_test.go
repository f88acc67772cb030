// Package canary plants unique strings in the records of a network of four organisations, lives a
// record's life on it, and searches everything that the network left behind for them.
//
// It must be able to fail: a test of its own plants leaks and wants each of them found.
package canary
