package hl7

import "fmt"

// The codes of errors. They are stable: a code is never given another meaning.
const (
	CodeEmpty      = "hl7-empty"      // no input
	CodeSize       = "hl7-size"       // larger than MaxMessage, MaxSegments, MaxFields or MaxBatch
	CodeNoHeader   = "hl7-no-header"  // does not begin with MSH (FHS, BHS for a batch)
	CodeDelimiters = "hl7-delimiters" // MSH-1 and MSH-2 are not distinct punctuation
	CodeSegment    = "hl7-segment"    // a line that is no segment
	CodeSequence   = "hl7-sequence"   // a header in the middle of a message, or an envelope out of order
	CodePath       = "hl7-path"       // not a path such as PID-5.1
	CodeCharset    = "hl7-charset"    // bytes that are not of the character set of MSH-18
	CodeTime       = "hl7-time"       // not a DTM
	CodeRequired   = "hl7-required"   // a required field is absent
	CodeType       = "hl7-type"       // message code not supported
	CodeEvent      = "hl7-event"      // trigger event not supported
	CodeProcessing = "hl7-processing" // MSH-11 not accepted here
	CodeVersion    = "hl7-version"    // MSH-12 not 2.1 to 2.8
	CodeValue      = "hl7-value"      // a value outside its table, or not of its data type
	CodeCount      = "hl7-count"      // BTS-1 or FTS-1 is not what was sent
)

// Conditions of HL7 table 0357, ERR-3.
const (
	Accepted           = 0
	SegmentSequence    = 100
	RequiredMissing    = 101
	DataType           = 102
	TableValue         = 103
	ValueTooLong       = 104
	Cardinality        = 198
	OtherError         = 199
	UnsupportedMessage = 200
	UnsupportedEvent   = 201
	UnsupportedProcess = 202
	UnsupportedVersion = 203
	UnknownKey         = 204
	DuplicateKey       = 205
	RecordLocked       = 206
	ApplicationError   = 207
)

// An Error says where a message is wrong, never what it contains.
type Error struct {
	Code      string // one of the Code constants
	Segment   string // its name, "" if the line has none
	Index     int    // the segment's place in the message, counted from 1; 0: the message as a whole
	Field     int    // counted from 1; 0: the segment as a whole
	Condition int    // table 0357
}

func (e *Error) Error() string {
	s := "hl7: " + e.Code
	if e.Segment != "" {
		s += " at " + e.Segment
		if e.Field > 0 {
			s += "-" + itoa(e.Field)
		}
	}
	if e.Index > 0 {
		s += fmt.Sprintf(" (segment %d)", e.Index)
	}
	return s
}

// Is makes errors.Is match an *Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func fail(code, segment string, index, field, condition int) error {
	return &Error{Code: code, Segment: segment, Index: index, Field: field, Condition: condition}
}

// ConditionText returns the description of a condition in table 0357.
func ConditionText(condition int) string {
	switch condition {
	case Accepted:
		return "Message accepted"
	case SegmentSequence:
		return "Segment sequence error"
	case RequiredMissing:
		return "Required field missing"
	case DataType:
		return "Data type error"
	case TableValue:
		return "Table value not found"
	case ValueTooLong:
		return "Value too long"
	case Cardinality:
		return "Non-Conformant Cardinality"
	case OtherError:
		return "Other HL7 Error"
	case UnsupportedMessage:
		return "Unsupported message type"
	case UnsupportedEvent:
		return "Unsupported event code"
	case UnsupportedProcess:
		return "Unsupported processing id"
	case UnsupportedVersion:
		return "Unsupported version id"
	case UnknownKey:
		return "Unknown key identifier"
	case DuplicateKey:
		return "Duplicate key identifier"
	case RecordLocked:
		return "Application record locked"
	}
	return "Application error"
}
