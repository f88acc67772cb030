package hl7

import (
	"slices"
	"strings"
)

// A Group is a segment group of a message structure: a patient result, an order
// observation, an insurance.
type Group struct {
	Name     string
	Segments []SegmentRef
	Groups   []*Group
}

// shape declares a group: the segments that begin one, those that belong to it,
// and the groups in it. Names are separated by blanks.
type shape struct {
	name, opens, has string
	in               []shape
}

var specimen = shape{name: "SPECIMEN", opens: "SPM", has: "OBX SAC"}

// shapeOf returns the structure of a message code (HL7 v2.8 chapters 3 to 10). It
// is wider than the standard where senders are: a group may begin with any of
// its leading segments.
func shapeOf(code string) shape {
	insurance := shape{name: "INSURANCE", opens: "IN1", has: "IN2 IN3"}
	procedure := shape{name: "PROCEDURE", opens: "PR1", has: "ROL"}
	observation := shape{name: "OBSERVATION", opens: "OBX", has: "NTE PRT"}
	order := shape{name: "ORDER", opens: "ORC OBR", has: "NTE TQ1 TQ2 CTD PRT DG1 FT1 RXO RXE RXR", in: []shape{observation, specimen}}
	patient := shape{name: "PATIENT", opens: "PID", has: "PD1 NTE NK1 PV1 PV2 AL1 GT1 ARV ROL DB1", in: []shape{insurance}}
	switch code {
	case "ADT":
		return shape{has: "*", in: []shape{insurance, procedure}}
	case "ORU", "ORM", "OML", "MDM":
		return shape{has: "*", in: []shape{patient, order}}
	case "VXU":
		return shape{has: "*", in: []shape{patient, {name: "ORDER", opens: "ORC RXA", has: "TQ1 RXR", in: []shape{observation}}}}
	case "SIU":
		resource := []shape{
			{name: "SERVICE", opens: "AIS", has: "NTE"},
			{name: "GENERAL", opens: "AIG", has: "NTE"},
			{name: "LOCATION", opens: "AIL", has: "NTE"},
			{name: "PERSONNEL", opens: "AIP", has: "NTE"},
		}
		return shape{has: "*", in: []shape{{name: "PATIENT", opens: "PID", has: "PD1 PV1 PV2 OBX DG1"}, {name: "RESOURCES", opens: "RGS AIS AIG AIL AIP", in: resource}}}
	case "DFT":
		return shape{has: "*", in: []shape{{name: "FINANCIAL", opens: "FT1", has: "NTE PR1 DG1"}, insurance}}
	}
	return shape{has: "*"}
}

func lists(names, name string) bool {
	return names == "*" || len(name) == 3 && strings.Contains(names, name)
}

// Groups puts the segments into the groups of the message's structure. No segment
// is lost: what fits nowhere belongs to the group it follows if it is a Z segment,
// else to the message itself.
func (m *Message) Groups() *Group {
	code, _, _ := m.Type()
	type open struct {
		shape shape
		group *Group
	}
	root := &Group{Name: code}
	stack := []open{{shapeOf(code), root}}
next:
	for i := range m.segments {
		ref, name := SegmentRef{m, i}, m.segments[i].Name
		for depth, top := range slices.Backward(stack) {

			// ORC begins an order that its OBR or RXA continues.
			if first := top.group.Segments; depth > 0 && lists(top.shape.opens, name) && top.shape.in != nil &&
				len(first) > 0 && len(top.group.Groups) == 0 && !has(first, name) && name != "ORC" && name != "RGS" && !lists("AIS AIG AIL AIP", name) {
				top.group.Segments = append(top.group.Segments, ref)
				stack = stack[:depth+1]
				continue next
			}
			for _, in := range top.shape.in {
				if !lists(in.opens, name) {
					continue
				}
				g := &Group{Name: in.name, Segments: []SegmentRef{ref}}
				top.group.Groups = append(top.group.Groups, g)
				stack = append(stack[:depth+1], open{in, g})
				if in.name == "RESOURCES" && name != "RGS" {
					break
				}
				continue next
			}
			if lists(top.shape.has, name) || name[0] == 'Z' {
				top.group.Segments = append(top.group.Segments, ref)
				stack = stack[:depth+1]
				continue next
			}
		}
	}
	return root
}

func has(refs []SegmentRef, name string) bool {
	for _, r := range refs {
		if r.Name() == name {
			return true
		}
	}
	return false
}
