package validate

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

const open = `<div xmlns="http://www.w3.org/1999/xhtml">`

var narrativeTests = []struct{ name, div, want string }{
	{"text", open + `x</div>`, ""},
	{"basic elements", open + `<p class="a" id='b'>x<br/><b>y</b></p><ul><li>z</li></ul></div>`, ""},
	{"an image alone", open + `<img src="#a" alt=""/></div>`, ""},
	{"a picture as data", open + `<img src="data:image/png;base64,AAAA"/></div>`, ""},
	{"a link", open + `<a href="https://x.example/?a=1&amp;b=2">x</a></div>`, ""},
	{"entities of XML", open + `&lt;&#160;&#xA0;&quot;</div>`, ""},
	{"a comment", open + `<!-- a -->x</div>`, ""},
	{"space around", " \n" + open + "x</div>\n", ""},
	{"a style", open + `<p style="color: red; background: url(data:image/png;base64,AA)">x</p></div>`, ""},
	{"no namespace", `<div>x</div>`, whyRoot},
	{"another root", `<p xmlns="http://www.w3.org/1999/xhtml">x</p>`, whyRoot},
	{"two roots", open + `x</div>` + open + `y</div>`, whyRoot},
	{"text after", open + `x</div>y`, whyRoot},
	{"nothing", ``, whyRoot},
	{"another namespace", `<div xmlns="urn:x">x</div>`, whyRoot},
	{"a script", open + `<script>x</script></div>`, whyElement},
	{"a script in capitals", open + `<SCRIPT>x</SCRIPT></div>`, whyElement},
	{"an iframe", open + `<iframe src="x"/></div>`, whyElement},
	{"a form", open + `<form><input/></form></div>`, whyElement},
	{"svg", open + `<svg onload="x"/></div>`, whyElement},
	{"a style element", open + `<style>x</style></div>`, whyElement},
	{"an object", open + `<object data="x"/></div>`, whyElement},
	{"an event handler", open + `<p onclick="x">y</p></div>`, whyAttr},
	{"an event handler on the root", `<div xmlns="http://www.w3.org/1999/xhtml" onmouseover="x">y</div>`, whyAttr},
	{"an attribute of another element", open + `<p href="x">y</p></div>`, whyAttr},
	{"javascript", open + `<a href="javascript:x">y</a></div>`, whyURL},
	{"javascript hidden", open + `<a href=" java&#10;script&#x3a;x">y</a></div>`, whyURL},
	{"javascript in capitals", open + `<a href="JaVaScRiPt:x">y</a></div>`, whyURL},
	{"a page as data", open + `<a href="data:text/html,x">y</a></div>`, whyURL},
	{"svg as data", open + `<img src="data:image/svg+xml,x"/></div>`, whyURL},
	{"a style from elsewhere", open + `<p style="background:url('http://x.example/a')">y</p></div>`, whyURL},
	{"a style that runs", open + `<p style="width: exp\ression(x)">y</p></div>`, whyURL},
	{"not closed", open + `<p>x</div>`, whyForm},
	{"closed twice", open + `x</div></div>`, whyForm},
	{"an attribute twice", open + `<p id="a" id="b">x</p></div>`, whyForm},
	{"an attribute without quotes", open + `<p id=a>x</p></div>`, whyForm},
	{"a doctype", `<!DOCTYPE html>` + open + `x</div>`, whyRoot},
	{"a processing instruction", open + `<?x y?>z</div>`, whyForm},
	{"an entity of HTML", open + `&nbsp;</div>`, whyEntity},
	{"an ampersand", open + `a & b</div>`, whyEntity},
	{"an entity without end", open + `&#</div>`, whyEntity},
	{"spaces alone", open + ` <p> </p></div>`, whyEmpty},
	{"too deep", open + strings.Repeat("<b>", 300) + `x` + strings.Repeat("</b>", 300) + `</div>`, whyDeep},
}

func TestNarrativesHaveTheirSubset(t *testing.T) {
	for _, s := range narrativeTests {
		m := markup{s: s.div}
		if got := m.document(); got != s.want {
			t.Errorf("%s: got %q, want %q", s.name, got, s.want)
		}
	}
}

func TestFitNarrativesAreXML(t *testing.T) {
	for _, s := range narrativeTests {
		if s.want != "" {
			continue
		}
		for d := xml.NewDecoder(strings.NewReader(s.div)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: encoding/xml says %v", s.name, err)
			}
		}
	}
}
