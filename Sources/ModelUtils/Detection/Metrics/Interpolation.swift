/// NumPy's `interp`.
struct Interpolation {
  /// Where the values stand, rising.
  let places: [Double]
  let values: [Double]

  /// The value at a place: between two on a line, behind the last its value, and `before` in front of the first. Of
  /// equal places the last counts.
  func callAsFunction(_ place: Double, before: Double) -> Double {
    // The first place behind it.
    var (low, high) = (0, places.count)
    while low < high {
      let middle = low + (high - low) / 2
      if places[middle] <= place { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return before }
    let index = low - 1
    guard low < places.count, places[index] != place else { return values[index] }
    let slope = (values[low] - values[index]) / (places[low] - places[index])
    return slope * (place - places[index]) + values[index]
  }
}
