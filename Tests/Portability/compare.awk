# Compares the lines of two runs of the cases (cases.h): one line for each that differs, and exit status 1.
# Their names: `here` and `there`.

FNR == NR { line[FNR] = $0; last = FNR; next }

function magnitude(x) { return x < 0 ? -x : x }

# What is no number is equal only to itself.
function is_near(x, y, relative, absolute,   greater) {
  if (x == y) return 1
  if (x y ~ /nan|inf/) return 0
  greater = magnitude(x) > magnitude(y) ? magnitude(x) : magnitude(y)
  return magnitude(x - y) <= relative * greater + absolute
}

# The first place where the words of two lines differ, 0 where none does. Numbers may differ from the name on.
function difference(count, a, other, b,   is_number, i) {
  if (count != other) return count < other ? other : count
  for (i = 1; i <= count; ++i) {
    if (is_number ? !is_near(a[i], b[i], a[2], a[3]) : a[i] != b[i]) return i
    if (a[1] == "near" && a[i] ~ /:$/) is_number = 1
  }
  return 0
}

function name(text) { return substr(text, 1, match(text, /:( |$)/) ? RSTART : length(text)) }

$1 != "level" && $0 != line[FNR] {
  count = split(line[FNR], a, " ")
  other = split($0, b, " ")
  place = difference(count, a, other, b)
  if (place) {
    print name(line[FNR] == "" ? $0 : line[FNR]) " " a[place] " at " here ", " b[place] " at " there
    found = 1
  }
}

END {
  if (FNR != last) {
    print last " lines at " here ", " FNR " at " there
    found = 1
  }
  exit found
}
