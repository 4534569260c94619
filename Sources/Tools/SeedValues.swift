import ModelUtils

/// The numbers of a tensor, to be printed: integers as such, floats so that reading them again gives the same bits.
enum SeedValues: Encodable {
  case integers([Int])
  case floats([Float])
  case doubles([Double])

  init(_ tensor: Tensor) throws {
    if !tensor.dtype.isFloatingPoint {
      self = .integers(try tensor.integers())
    } else if tensor.dtype == .float64 {
      self = .doubles(try tensor.doubles())
    } else {
      self = .floats(try tensor.floats())
    }
    if !isFinite { throw ModelError(.invalid, "numbers beyond \(tensor.dtype.rawValue) were drawn: they are infinite") }
  }

  /// float32 widened to double.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .integers(let values): try container.encode(values)
    case .floats(let values): try container.encode(values.map { Double($0) })
    case .doubles(let values): try container.encode(values)
    }
  }

  /// Lines of so many numbers, in columns.
  func rows(of length: Int) -> [String] {
    let texts =
      switch self {
      case .integers(let values): values.map { "\($0)" }
      case .floats(let values): values.map { "\($0)" }
      case .doubles(let values): values.map { "\($0)" }
      }
    guard length > 0 else { return [] }
    let width = texts.reduce(0) { max($0, $1.utf8.count) }
    return stride(from: 0, to: texts.count, by: length).map { start in
      texts[start..<min(texts.count, start + length)]
        .map { String(repeating: " ", count: width - $0.utf8.count) + $0 }
        .joined(separator: " ")
    }
  }

  private var isFinite: Bool {
    switch self {
    case .integers: true
    case .floats(let values): values.allSatisfy(\.isFinite)
    case .doubles(let values): values.allSatisfy(\.isFinite)
    }
  }
}
