/// The known word that is nearest to a misspelt one, if one is near at all.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |k: &str| strsim::damerau_levenshtein(word, k);
    let near = known.into_iter().map(|k| (distance(k), k)).min()?;
    (near.0 <= near.1.len().max(word.len()) / 2).then_some(near.1)
}
