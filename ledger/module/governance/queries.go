package governance

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ByAccount asks for what belongs to one member.
type ByAccount struct {
	Account tx.Account `cbor:"1,keyasint" json:"account"`
}

// ByProposal asks for one proposal.
type ByProposal struct {
	Proposal tx.Hash `cbor:"1,keyasint" json:"proposal"`
}

// MemberList is the answer of governance/members.
type MemberList struct {
	Members []Member `cbor:"1,keyasint" json:"members"` // in account order, those removed included
}

// ProposalList is the answer of governance/proposals.
type ProposalList struct {
	Proposals []Proposal `cbor:"1,keyasint" json:"proposals"` // undecided, the first to lapse first
}

// queries lists what may be asked. Arguments and answers are canonical CBOR;
// an argument of no bytes stands for "all".
func queries() []ledger.Query {
	return []ledger.Query{
		{Path: "governance/members", Reply: MemberList{}, Answer: func(r state.Reader, _ ledger.Head, _ []byte) ([]byte, error) {
			return tx.Encode(MemberList{Members(r)})
		}},
		{Path: "governance/member", Arg: ByAccount{}, Reply: Member{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByAccount
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			m, ok := LookupMember(r, q.Account)
			if !ok {
				return nil, ErrUnknownMember
			}
			return tx.Encode(m)
		}},
		{Path: "governance/params", Reply: Params{}, Answer: func(r state.Reader, _ ledger.Head, _ []byte) ([]byte, error) {
			return tx.Encode(ParamsOf(r))
		}},
		{Path: "governance/plan", Reply: Planned{}, Answer: func(r state.Reader, _ ledger.Head, _ []byte) ([]byte, error) {
			p, ok := LookupPlan(r)
			if !ok {
				return nil, ErrNoPlan
			}
			return tx.Encode(p)
		}},
		{Path: "governance/disaster", Reply: DisasterRow{}, Answer: func(r state.Reader, _ ledger.Head, _ []byte) ([]byte, error) {
			return tx.Encode(LastDisaster(r))
		}},
		{Path: "governance/proposals", Reply: ProposalList{}, Answer: func(r state.Reader, _ ledger.Head, _ []byte) ([]byte, error) {
			return tx.Encode(ProposalList{OpenProposals(r)})
		}},
		{Path: "governance/proposal", Arg: ByProposal{}, Reply: Proposal{}, Answer: func(r state.Reader, _ ledger.Head, arg []byte) ([]byte, error) {
			var q ByProposal
			if tx.Decode(arg, &q) != nil {
				return nil, ErrQuery
			}
			p, ok := LookupProposal(r, q.Proposal)
			if !ok {
				return nil, ErrUnknownProposal
			}
			return tx.Encode(p)
		}},
	}
}
