package vcloud

import (
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/records"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

const (
	mediaAdmin    = "application/vnd.vmware.admin."
	mediaResource = mediaAdmin + "serviceResource"
)

// referable are the types of entities that others refer to, by the prefix of
// their URNs.
type referable struct {
	word  string // in an address, in front of the id, in lower case
	media string
}

func referables() map[string]referable {
	return map[string]referable{
		core.OrgPrefix:      {"org", vxml.MediaAdminOrg},
		core.UserPrefix:     {"user", vxml.MediaUser},
		core.RightPrefix:    {"right", vxml.MediaRight},
		core.ResourcePrefix: {"serviceresource", mediaResource},
	}
}

// reference is the element that refers to an entity.
func (c *call) reference(name, urn string) *vxml.Element {
	prefix := urn[:strings.LastIndexByte(urn, ':')+1]
	return vxml.Extension(name).
		Set("href", records.AdminHrefs(api.BaseURL(c)).Of(urn)).
		Set("type", referables()[prefix].media+"+xml")
}

// refer reads a reference to an entity of one of the types: the URN that its
// id or the end of its href is, or a uuid there, whose type the word in front
// of it or else the media type tells. Field is for the error.
func refer(field string, e *vxml.Element, prefixes ...string) (string, error) {
	var words []string
	for _, p := range prefixes {
		words = append(words, referables()[p].word)
	}
	wrong := core.Errorf(core.Invalid, "%s: a reference is needed, with the href of %s", field, strings.Join(words, " or "))
	if e == nil {
		return "", wrong
	}
	path, _, _ := strings.Cut(strings.TrimSpace(e.Attr("href")), "?")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	id, word := parts[len(parts)-1], ""
	if len(parts) > 1 {
		word = strings.ToLower(parts[len(parts)-2])
	}
	for _, given := range []string{strings.TrimSpace(e.Attr("id")), id} {
		for _, p := range prefixes {
			if uuid := uuidOf(p, given); uuid != given && core.IsUUID(strings.ToLower(uuid)) {
				return p + strings.ToLower(uuid), nil
			}
		}
	}
	if id == "" {
		id = strings.TrimSpace(e.Attr("id"))
	}
	if !core.IsUUID(strings.ToLower(id)) {
		return "", wrong
	}
	if word == "" {
		word = wordOf(e.Attr("type"), prefixes)
	}
	if i := slices.Index(words, strings.TrimSuffix(word, "s")); i >= 0 {
		return prefixes[i] + strings.ToLower(id), nil
	}
	return "", wrong
}

// wordOf tells which of the types a media type stands for; where there is one
// only, that one.
func wordOf(media string, prefixes []string) string {
	for _, p := range prefixes {
		r := referables()[p]
		if len(prefixes) == 1 || strings.HasPrefix(strings.ToLower(media), strings.ToLower(r.media)) {
			return r.word
		}
	}
	return ""
}
