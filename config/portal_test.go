package config

import (
	"strings"
	"testing"
)

func TestPortalOriginIsWhereBrowsersHavePasskeys(t *testing.T) {
	for origin, ok := range map[string]bool{
		"": true, "https://portal.example.org": true, "https://portal.example.org:8443": true, "http://localhost:8090": true,
		"http://portal.example.org": false, "http://127.0.0.1:8090": false, "https://portal.example.org/": false, "portal.example.org": false, "https://u@portal.example.org": false,
	} {
		c := valid(t)
		c.Portal = Portal{Listen: "127.0.0.1:8090", Origin: origin}
		err := c.Validate()
		if (err == nil) != ok {
			t.Errorf("%q: got %v", origin, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "config: portal.origin: ") {
			t.Errorf("%q: got %v, want its key named", origin, err)
		}
	}
	c := valid(t)
	c.Portal.Listen = "127.0.0.1:8090"
	if got := c.PortalOrigin(); got != "http://localhost:8090" {
		t.Errorf("got %s", got)
	}
	c.Portal.Listen = c.Gateway.Listen
	if err := c.Validate(); err == nil {
		t.Error("got the gateway's address taken twice")
	}
}
