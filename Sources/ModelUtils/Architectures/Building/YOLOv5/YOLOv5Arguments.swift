import ModelCore

/// The arguments of one layer, taken one after the other as Python binds them: by position, with defaults.
///
/// What does not fit is refused at the builder and a default takes its place, so that the rest can be read.
struct YOLOv5Arguments {
  private let make: ModuleBuilder
  private let module: String
  private var remaining: ArraySlice<YOLOv5Argument>
  private var position = 0

  init(_ arguments: [YOLOv5Argument], of module: String, _ make: ModuleBuilder) {
    (self.make, self.module, remaining) = (make, module, arguments[...])
  }

  private mutating func next() -> YOLOv5Argument? {
    position += 1
    return remaining.popFirst()
  }

  /// Whether the next argument is this one; it is then taken.
  mutating func takes(_ argument: YOLOv5Argument) -> Bool {
    guard remaining.first == argument else { return false }
    _ = next()
    return true
  }

  private func refuse(_ expected: String) { make.refuse("argument \(position) of \(module) must be \(expected)") }

  mutating func int(_ missing: Int? = nil, in range: ClosedRange<Int> = 1...YOLOv5Configuration.channelLimit) -> Int {
    switch next() {
    case .int(let value) where range.contains(value): return value
    case nil where missing != nil: return missing ?? 0
    default:
      refuse("a whole number from \(range.lowerBound) to \(range.upperBound)")
      return missing ?? range.lowerBound
    }
  }

  mutating func optionalInt(in range: ClosedRange<Int>) -> Int? {
    if remaining.isEmpty || remaining.first == YOLOv5Argument.none {
      _ = next()
      return nil
    }
    return int(range.lowerBound, in: range)
  }

  /// One number for both axes, or two.
  mutating func pair(_ missing: Int) -> [Int] {
    optionalPair() ?? [missing, missing]
  }

  /// Nil for None and where nothing is left.
  mutating func optionalPair() -> [Int]? {
    switch next() {
    case nil, .some(.none): return nil
    case .int(let value) where (0...YOLOv5Configuration.channelLimit).contains(value): return [value, value]
    case .list(let items):
      let sizes = items.compactMap { if case .int(let value) = $0 { value } else { nil } }
      guard items.count == 2, sizes.count == 2, sizes.allSatisfy((0...YOLOv5Configuration.channelLimit).contains) else {
        fallthrough
      }
      return sizes
    default:
      refuse("a whole number or two in a list")
      return nil
    }
  }

  mutating func ints(_ missing: [Int]) -> [Int] {
    guard let argument = next() else { return missing }
    if case .list(let items) = argument, (1...64).contains(items.count) {
      let sizes = items.compactMap { if case .int(let value) = $0 { value } else { nil } }
      if sizes.count == items.count, sizes.allSatisfy((0...YOLOv5Configuration.channelLimit).contains) { return sizes }
    }
    refuse("a list of whole numbers")
    return missing
  }

  /// As Python sees it: numbers other than 0 are true.
  mutating func bool(_ missing: Bool) -> Bool {
    switch next() {
    case nil: return missing
    case .bool(let value): return value
    case .int(let value): return value != 0
    case .some(.none): return false
    default:
      refuse("True or False")
      return missing
    }
  }

  mutating func double(_ missing: Double?) -> Double {
    switch next() {
    case .double(let value): return value
    case .int(let value): return Double(value)
    case nil where missing != nil: return missing ?? 0
    default:
      refuse("a number")
      return missing ?? 0
    }
  }

  /// Lists of equally many numbers, an even number of them.
  mutating func sizes(levels: Int) -> [[Double]] {
    if case .int? = remaining.first {
      // A number of anchors alone stands, as in the original, for the numbers from 0 on.
      let count = int(in: 1...1000)
      return [[Double]](repeating: (0..<2 * count).map(Double.init), count: levels)
    }
    guard case .list(let items)? = next() else {
      refuse("anchors")
      return []
    }
    let sizes: [[Double]] = items.compactMap { item in
      guard case .list(let numbers) = item else { return nil }
      return numbers.compactMap { number in
        switch number {
        case .double(let value): value
        case .int(let value): Double(value)
        default: nil
        }
      }
    }
    let first = sizes.first?.count ?? 0
    guard sizes.count == items.count, sizes.count == levels, first > 0, first % 2 == 0,
      sizes.allSatisfy({ $0.count == first })
    else {
      refuse("anchors for each of the \(levels) levels")
      return []
    }
    return sizes
  }

  mutating func string(_ missing: String) -> String {
    switch next() {
    case nil: return missing
    case .string(let text): return text
    default:
      refuse("a word")
      return missing
    }
  }

  /// True is the model's activation, one that is written out is itself, anything else none.
  mutating func activation() -> YOLOv5Blocks.Act {
    switch next() {
    case nil, .bool(true): return .standard
    case .activation(let activation): return .own(activation)
    default: return .none
    }
  }

  /// Refuses an argument too many.
  func end() {
    if !remaining.isEmpty { make.refuse("\(module) takes at most \(position) arguments here") }
  }
}
