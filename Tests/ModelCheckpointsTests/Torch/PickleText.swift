import ModelCheckpoints
import ModelCore

/// The bytes of a pickle written as text, a character a byte.
func pickle(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

/// Reads a pickle; a persistent id stands for a storage of its text.
func read(_ bytes: [UInt8]) throws -> PickleGraph {
  let file = FileBytes(name: "test.pkl", copying: bytes)
  var input = ByteReader(file, offset: 0, end: file.count)
  return try PickleReader.read(&input) { id, graph in
    .string("storage \(graph.text(id) ?? "?")")
  }
}

extension PickleGraph {
  /// The objects that the root reaches, as Tests/Fixtures/make_pickles.py names them: an object that is met again is
  /// numbered.
  var text: String {
    var description = PickleDescription(graph: self)
    description.count(root)
    return description.text(root)
  }
}

private struct PickleDescription {
  let graph: PickleGraph
  var counts: [Int: Int] = [:]
  var numbers: [Int: Int] = [:]

  private func isIdentified(_ reference: Int) -> Bool {
    switch graph.nodes[reference] {
    case .list, .dict, .set, .byteArray, .call: true
    case .tuple(let items), .frozenSet(let items): !items.isEmpty
    default: false
    }
  }

  private func parts(_ reference: Int) -> [Int] {
    switch graph.nodes[reference] {
    case .tuple(let items), .list(let items), .set(let items), .frozenSet(let items): return items
    case .dict(let entries): return entries.flatMap { [$0.key, $0.value] }
    case .call(let index):
      let call = graph.calls[index]
      var parts = [call.callable, call.arguments]
      if case .newObjectWithKeywords(let keywords) = call.kind { parts.append(keywords) }
      return parts + call.items + call.entries.flatMap { [$0.key, $0.value] } + call.states
    default: return []
    }
  }

  mutating func count(_ reference: Int) {
    if isIdentified(reference) {
      counts[reference, default: 0] += 1
      if counts[reference] != 1 { return }
    }
    for part in parts(reference) { count(part) }
  }

  mutating func text(_ reference: Int) -> String {
    guard isIdentified(reference), counts[reference] != 1 else { return body(reference) }
    if let number = numbers[reference] { return "#\(number)" }
    numbers[reference] = numbers.count + 1
    return "#\(numbers.count)=\(body(reference))"
  }

  private mutating func list(_ references: [Int]) -> String {
    references.map { text($0) }.joined(separator: ", ")
  }

  private mutating func dict(_ entries: [PickleGraph.Entry]) -> String {
    entries.map { "\(text($0.key)): \(text($0.value))" }.joined(separator: ", ")
  }

  private mutating func body(_ reference: Int) -> String {
    switch graph.nodes[reference] {
    case .none: "None"
    case .bool(let value): value ? "True" : "False"
    case .int(let value): "\(value)"
    case .bigInt(let bytes): Self.decimal(bytes)
    case .double(let value): "0x" + Self.hex(withUnsafeBytes(of: value.bitPattern.bigEndian) { Array($0) })
    case .string(let text):
      text.utf8.allSatisfy { (0x20..<0x7f).contains($0) } ? "'\(text)'" : "u" + Self.hex(Array(text.utf8))
    case .surrogateString(let bytes): "u" + Self.hex(bytes)
    case .python2String(let bytes): "str " + Self.hex(bytes)
    case .bytes(let bytes): "b" + Self.hex(bytes)
    case .byteArray(let bytes): "bytearray " + Self.hex(bytes)
    case .tuple(let items): "(\(list(items)))"
    case .list(let items): "[\(list(items))]"
    case .set(let items): "set(\(list(items)))"
    case .frozenSet(let items): "frozenset(\(list(items)))"
    case .dict(let entries): "{\(dict(entries))}"
    case .global(let name): name.description
    case .call(let index): call(graph.calls[index])
    case .storage(let index):
      "storage(\(graph.storages[index].className) \(graph.storages[index].location) \(bytes(graph.storages[index])))"
    case .tensor: "tensor"
    }
  }

  private func bytes(_ record: PickleGraph.StorageRecord) -> String {
    (try? record.storage.withUnsafeBytes { SHA256.hash(Array($0)) }) ?? "?"
  }

  /// `new` for an object made by `__new__`; what fills it follows in braces and the states it was given behind `<-`.
  private mutating func call(_ call: PickleGraph.Call) -> String {
    var result =
      switch call.kind {
      case .reduce: text(call.callable) + text(call.arguments)
      case .newObject: "new " + text(call.callable) + text(call.arguments)
      case .newObjectWithKeywords(let keywords): "new " + text(call.callable) + text(call.arguments) + text(keywords)
      }
    if !call.items.isEmpty { result += "[\(list(call.items))]" }
    if !call.entries.isEmpty { result += "{\(dict(call.entries))}" }
    for state in call.states { result += " <- " + text(state) }
    return result
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// A little-endian two's complement integer in decimal, by long division.
  private static func decimal(_ bytes: [UInt8]) -> String {
    let isNegative = (bytes.last ?? 0) & 0x80 != 0
    var magnitude = bytes
    if isNegative {
      var carry = 1
      magnitude = bytes.map { byte in
        let sum = Int(~byte) + carry
        carry = sum >> 8
        return UInt8(truncatingIfNeeded: sum)
      }
    }
    var digits = ""
    while magnitude.contains(where: { $0 != 0 }) {
      var rest = 0
      for index in magnitude.indices.reversed() {
        rest = rest << 8 | Int(magnitude[index])
        magnitude[index] = UInt8(rest / 10)
        rest %= 10
      }
      digits = "\(rest)" + digits
    }
    return (isNegative ? "-" : "") + (digits.isEmpty ? "0" : digits)
  }
}
