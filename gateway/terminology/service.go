package terminology

import (
	"time"

	"salus/fhir/terminology"
	"salus/gateway/rest"
	"salus/store"
)

// Config is what a Service is made of; every field is required.
type Config struct {
	Store  *store.Store
	Loaded *terminology.Loaded // everybody's: R4's own, and that of packages
	Now    func() time.Time
	Base   string // the address that clients reach the server at
}

// A Service answers questions about codes. It is safe for concurrent use.
type Service struct {
	Config
	cache    cache
	metadata []byte
}

// New makes a service.
func New(c Config) *Service {
	s := &Service{Config: c, cache: cache{kept: map[place]*cached{}}}
	s.metadata = s.capabilities()
	return s
}

// Operations are those that it offers, for rest.Config.
func (s *Service) Operations() []rest.Operation {
	const base = "http://hl7.org/fhir/OperationDefinition/"
	on := func(typ, name string, instances bool, h handler) rest.Operation {
		o := rest.Operation{Name: name, Types: []string{typ}, ReadOnly: true, Definition: base + typ + "-" + name, Handle: s.handle(h)}
		if instances {
			o.Instances = o.Types
		}
		return o
	}
	return []rest.Operation{
		on("ValueSet", "expand", true, s.expand),
		on("ValueSet", "validate-code", true, s.validateInSet),
		on("CodeSystem", "lookup", false, s.lookup),
		on("CodeSystem", "validate-code", true, s.validateInSystem),
		on("CodeSystem", "subsumes", true, s.subsumes),
		on("ConceptMap", "translate", true, s.translate),
	}
}
