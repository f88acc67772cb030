// Package vaulttest is what every vault.Backend must pass (TestBackend), what a vault.Store promises on any of them
// (TestStore), and Sim, a backend that fails and crashes at a chosen operation. It is for tests only and never for a
// running node.
package vaulttest
