package main

import (
	"os"
	"time"
)

const parentPoll = 250 * time.Millisecond

// dieWithParent ends this process soon after the launcher is gone, however it
// went, so that a crashed test leaves nothing running. Polling is used because
// the kernel's parent-death signal follows the parent's thread, not its process.
func dieWithParent() {
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(parentPoll)
		}
		os.Exit(1)
	}()
}
