package rest

import (
	"context"
	"net/http"

	"salus/fhir"
)

// Validate is $validate (R4 Resource-validate) on types and their resources. check says what is
// wrong with a resource, also by the profiles that are named. The answer is 200 and an
// OperationOutcome whether or not the resource is valid.
func Validate(types []string, check func(ctx context.Context, r fhir.Resource, profiles ...string) []Issue) Operation {
	return Operation{
		Name: "validate", Types: types, Instances: types, ReadOnly: true,
		Definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate",
		Handle: func(ctx context.Context, c *Call) (*Reply, error) {
			issues, err := c.validate(ctx, check)
			if err != nil {
				return nil, err
			}
			if len(issues) == 0 {
				issues = []Issue{{Severity: "information", Type: "informational", Code: "rest-valid", Text: "nothing is wrong with it"}}
			}
			return &Reply{Body: outcomeOf(issues)}, nil
		},
	}
}

var (
	errMode       = fault(http.StatusBadRequest, "value", "rest-validate-mode", "mode is create, update, delete or profile; update and delete are for one resource")
	errProfile    = fault(http.StatusBadRequest, "required", "rest-validate-profile", "mode=profile needs the parameter profile")
	errToValidate = fault(http.StatusBadRequest, "required", "rest-validate-resource", "send the resource, or call this operation on one that is stored")
)

func (c *Call) validate(ctx context.Context, check func(context.Context, fhir.Resource, ...string) []Issue) ([]Issue, error) {
	mode, _ := c.Param("mode")
	var profiles []string
	for _, p := range c.Params {
		if p.Name == "profile" && p.Value != "" {
			profiles = append(profiles, p.Value)
		}
	}
	body := c.Resource("resource")
	switch mode {
	case "", "create":
	case "update":
		if c.ID == "" {
			return nil, errMode
		}
	case "delete":
		if c.ID == "" {
			return nil, errMode
		}
		// Nothing here is kept from being deleted by what refers to it.
		if !c.Leave.Allows(Delete, c.Type) {
			return []Issue{errForbidden.Issues[0]}, nil
		}
		return nil, nil
	case "profile":
		if len(profiles) == 0 {
			return nil, errProfile
		}
	default:
		return nil, errMode
	}
	if len(body) == 0 {
		if c.ID == "" || mode == "create" || mode == "update" {
			return nil, errToValidate
		}
		if !c.Leave.Allows(Read, c.Type) {
			return nil, errForbidden
		}
		v, err := See(ctx, c.Server.Store, c.Leave, c.Type, c.ID)
		if err != nil {
			return nil, err
		}
		body = present(&v)
	}
	r, err := fhir.Parse(body)
	if err != nil {
		return faultOf(err).Issues, nil
	}
	var issues []Issue
	switch {
	case r.Type() != c.Type:
		return errOtherType.Issues, nil
	case mode == "update" && r.ID() != c.ID:
		issues = append(issues, errOtherID.Issues...)
	}
	if check != nil {
		issues = append(issues, check(ctx, r, profiles...)...)
	}
	return issues, nil
}
