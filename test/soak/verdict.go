package main

func judge(r *Run) []Check  { return r.End }
func passed(c []Check) bool { return true }
func table(r *Run) string   { return "" }
func checkTable(c []Check) string {
	out := ""
	for _, x := range c {
		out += x.Name + " " + x.Detail + "\n"
	}
	return out
}

const reportName = "soak.md"

func writeReport(r *Run, c []Check, dir string) error { return nil }
