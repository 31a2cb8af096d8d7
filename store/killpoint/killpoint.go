// Package killpoint marks the places of the commit path at which a death hurts
// most. In a released daemon Pass does nothing and the compiler leaves it out;
// built with the tag faults, the environment variable KIOSKD_KILLPOINT=NAME:N has
// the process kill itself with SIGKILL at the N-th pass of the named point. `make
// kill` uses that.
//
// Who may import it: store, daemon.
package killpoint

// Point is a named place in the commit path.
type Point string

// The points, in the order in which a daemon's life passes them.
const (
	MachineKey     Point = "machine-key"      // before the machine's key is read or made
	KeyWritten     Point = "key-written"      // a new key's file has its bytes, and not yet its name
	KeyNamed       Point = "key-named"        // it has its name, which may not be on the disk yet
	MachineKeyMade Point = "machine-key-made" // the machine's key is there, the pepper may not be
	Opened         Point = "opened"           // the file is open; what a death left has not been made good
	Recovered      Point = "recovered"        // it has
	ReportKey      Point = "report-key"       // a report's key is there, its record is not
	Record         Point = "record"           // before a transaction
	Commit         Point = "commit"           // in it: all is said, nothing is written
	Committed      Point = "committed"        // it is on the disk, memory does not know yet
	SessionEnd     Point = "session-end"      // the session's record is gone, its pepper is not
	Pepper         Point = "pepper"           // before the session's pepper is overwritten
	PepperTurned   Point = "pepper-turned"    // after it
	ReportDropped  Point = "report-dropped"   // a report's record is gone, its key is not
	Answer         Point = "answer"           // stored, and nobody has been told
)

// All lists the points.
func All() []Point {
	return []Point{
		MachineKey, KeyWritten, KeyNamed, MachineKeyMade, Opened, Recovered, ReportKey, Record, Commit, Committed,
		SessionEnd, Pepper, PepperTurned, ReportDropped, Answer,
	}
}
