package cloud

// A Vocabulary bounds the words that become a label's values: operations of a service, names of roles. The first so
// many words of a topic are kept, the others become OtherWord. The zero value keeps none. It is for one goroutine.
type Vocabulary struct {
	// Max is how many words a topic may have, and MaxTopics how many topics there may be.
	Max, MaxTopics int

	topics  map[string]map[string]struct{}
	refused uint64
}

// OtherWord stands for all words that there is no room for.
const OtherWord = "other"

// Word is the word itself or OtherWord.
func (v *Vocabulary) Word(topic, word string) string {
	words, ok := v.topics[topic]
	if !ok {
		if len(v.topics) >= v.MaxTopics {
			v.refused++
			return OtherWord
		}
		if v.topics == nil {
			v.topics = map[string]map[string]struct{}{}
		}
		words = map[string]struct{}{}
		v.topics[topic] = words
	}
	if _, ok := words[word]; ok {
		return word
	}
	if len(words) >= v.Max {
		v.refused++
		return OtherWord
	}
	words[word] = struct{}{}
	return word
}

// Refused counts how often a word was OtherWord.
func (v *Vocabulary) Refused() uint64 { return v.refused }
