package search

import (
	"math"
	"strconv"
)

// A Circle is what near asks for (R4 8.6.4, Location-near): every position within a distance of a
// place on the Earth.
//
// Positions are points of the unit sphere, so that "within" is a comparison of the chord between two of
// them: 4 times the haversine of their angle. It needs no function that two databases might round
// differently, and neither the poles nor the date line are special.
type Circle struct {
	Place
	Chord2 float64 // the square of the chord to its edge: 0 for the place itself, more than 4 for the whole Earth
}

// A Place is a position on the unit sphere: X towards latitude and longitude 0, Z towards the North
// Pole.
type Place struct{ X, Y, Z float64 }

// EarthRadius is the mean radius in metres (IUGG). The Earth is taken for a sphere: distances on WGS84
// differ by up to 0.6 %.
const EarthRadius = 6371008.8

// NearDefault is the distance in metres where near names none, which R4 leaves to the server.
const NearDefault = 50_000

// units of near's distances, in metres (UCUM).
var lengths = map[string]float64{"km": 1000, "m": 1, "[mi_i]": 1609.344, "[nmi_i]": 1852, "[ft_i]": 0.3048}

// Position is the place at a latitude and longitude in degrees; ok is false if there is none.
func Position(latitude, longitude float64) (p Place, ok bool) {
	if !(math.Abs(latitude) <= 90) || !(math.Abs(longitude) <= 180) { // NaN too
		return p, false
	}
	sinLat, cosLat := math.Sincos(latitude * math.Pi / 180)
	sinLon, cosLon := math.Sincos(longitude * math.Pi / 180)
	return Place{X: cosLat * cosLon, Y: cosLat * sinLon, Z: sinLat}, true
}

// chord2 is the square of the chord of an arc in metres, a little more than it: what is just there is in.
func chord2(metres float64) float64 {
	angle := metres / EarthRadius
	if angle >= math.Pi {
		return 5
	}
	h := math.Sin(angle / 2)
	return 4*h*h*(1+1e-9) + 1e-24
}

// Contains reports whether a place lies in the circle. A store that answers in its own way adds in this
// order.
func (c *Circle) Contains(p Place) bool {
	x, y, z := p.X-c.X, p.Y-c.Y, p.Z-c.Z
	return float64(x*x)+float64(y*y)+float64(z*z) <= c.Chord2
}

// Positioned are the entries of a place: two, which are parts of one value.
func Positioned(code string, p Place) [2]Entry {
	return [2]Entry{
		{Code: code, Kind: Spot, Group: 1, Part: 1, Value: Value{Range: Range{p.X, p.Y}}},
		{Code: code, Kind: Spot, Group: 1, Part: 2, Value: Value{Range: Range{p.Z, p.Z}}},
	}
}

// circle reads [latitude]|[longitude]|[distance]|[units].
func circle(s string, bad *Issue) (v Value, err *Issue) {
	parts := split(s, '|')
	if len(parts) < 2 || len(parts) > 4 {
		return v, bad
	}
	var n [3]float64
	for i, part := range parts[:min(3, len(parts))] {
		if i == 2 && part == "" {
			continue
		}
		f, err := strconv.ParseFloat(part, 64)
		if err != nil || len(part) > 32 {
			return v, bad
		}
		n[i] = f
	}
	p, ok := Position(n[0], n[1])
	if !ok {
		return v, bad
	}
	metres := float64(NearDefault)
	if len(parts) > 2 && parts[2] != "" {
		unit := 1000.0 // R4: kilometres where no unit is given
		if len(parts) == 4 && parts[3] != "" {
			if unit, ok = lengths[unescape(parts[3])]; !ok {
				return v, bad
			}
		}
		if metres = n[2] * unit; !(metres >= 0) {
			return v, bad
		}
	} else if len(parts) == 4 && parts[3] != "" {
		return v, bad // a unit of nothing
	}
	v.Circle = &Circle{Place: p, Chord2: chord2(metres)}
	return v, nil
}
