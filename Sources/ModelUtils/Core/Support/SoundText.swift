extension String {
  /// How many combining marks may stand in a row. Swift puts them in order whenever a text is compared or hashed, in time
  /// that grows with their square.
  private static let markLimit = 64

  /// Text from a file that nobody vouches for.
  /// - Returns: nil where it is no UTF-8, or has more combining marks in a row than any language.
  package init?(sound bytes: some Collection<UInt8>) {
    guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
    // No mark is encoded by smaller bytes.
    guard bytes.count <= Self.markLimit || !bytes.contains(where: { $0 >= 0xcc }) || !text.hasManyMarks else {
      return nil
    }
    self = text
  }

  private var hasManyMarks: Bool {
    var run = 0
    for scalar in unicodeScalars {
      run = scalar.properties.canonicalCombiningClass == .notReordered ? 0 : run + 1
      if run > Self.markLimit { return true }
    }
    return false
  }
}
