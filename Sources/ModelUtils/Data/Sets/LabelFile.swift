import ModelCore
import SystemPackage

/// YOLO's labels of a picture: a line `class x y width height` for each object, as shares of the picture's sides.
///
/// A line `class x1 y1 x2 y2 x3 y3 …` is a polygon, of which the box around it counts. Equal rows count once, and then,
/// as YOLOv5 and YOLOv6 leave them, all rows are sorted.
struct LabelFile {
  private(set) var labels: [BoxLabel] = []
  private(set) var faults: [SetFinding] = []
  private(set) var notes: [SetFinding] = []

  private static let sizeLimit = 16 << 20
  /// Beyond that many a file has, no more of its faults are told.
  private static let faultLimit = 20

  /// nil for a file that is not there.
  init?(_ path: FilePath, classCount: Int) {
    guard FileFolder.exists(path) else { return nil }
    let file: FileBytes
    do {
      file = try FileBytes(mapping: path)
      guard file.count <= Self.sizeLimit else {
        throw ModelError(.limit, "has \(file.count) bytes; labels have at most \(Self.sizeLimit)")
      }
    } catch {
      faults = [SetFinding(path, error)]
      return
    }
    for (index, line) in file.bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
    {
      let fields = line.split { $0 == 0x20 || (0x09...0x0d).contains($0) }
      guard !fields.isEmpty else { continue }
      do {
        labels.append(try Self.label(fields.map { String(decoding: $0, as: UTF8.self) }, classCount))
      } catch {
        faults.append(SetFinding(path, error, line: index + 1))
        guard faults.count < Self.faultLimit else { break }
      }
    }
    reduceDuplicates(path)
    if let flat = labels.first(where: { $0.width == 0 || $0.height == 0 }) {
      notes.append(SetFinding(path, reason: "has a box of the class \(flat.classIndex) without an area"))
    }
  }

  private mutating func reduceDuplicates(_ path: FilePath) {
    let different = Set(labels)
    guard different.count < labels.count else { return }
    notes.append(
      SetFinding(path, reason: "has \(labels.count - different.count) rows that stand there already; they count once"))
    func key(_ label: BoxLabel) -> [Float] {
      [Float(label.classIndex), label.x, label.y, label.width, label.height]
    }
    labels = different.sorted { key($0).lexicographicallyPrecedes(key($1)) }
  }

  private static func label(_ fields: [String], _ classCount: Int) throws -> BoxLabel {
    guard fields.count == 5 || (fields.count >= 7 && fields.count % 2 == 1) else {
      throw ModelError(
        .malformed, "has \(fields.count) columns where 5 are expected: class, x, y, width, height")
    }
    let numbers = try fields.map(number)
    guard numbers[0] >= 0, numbers[0] == numbers[0].rounded(), numbers[0] < Double(1 << 24) else {
      throw ModelError(.malformed, "has the class \(fields[0].printable(limit: 40)), where classes count from 0")
    }
    let index = Int(numbers[0])
    guard index < classCount else {
      throw ModelError(.mismatch, "has the class \(index), where there are \(classCount)")
    }
    if let place = numbers.dropFirst().firstIndex(where: { !(0...1).contains($0) }) {
      throw ModelError(
        .malformed, "has \(fields[place].printable(limit: 40)) where shares of the picture's sides go from 0 to 1")
    }
    let values = numbers.dropFirst().map { Float($0) }
    guard values.count > 4 else {
      return BoxLabel(classIndex: index, x: values[0], y: values[1], width: values[2], height: values[3])
    }
    var (low, high): ([Float], [Float]) = ([1, 1], [0, 0])
    for (place, value) in values.enumerated() {
      low[place % 2] = min(low[place % 2], value)
      high[place % 2] = max(high[place % 2], value)
    }
    return BoxLabel(
      classIndex: index, x: (low[0] + high[0]) / 2, y: (low[1] + high[1]) / 2, width: high[0] - low[0],
      height: high[1] - low[1])
  }

  private static func number(_ text: String) throws -> Double {
    guard text.utf8.count <= 64, text.utf8.allSatisfy({ "+-.0123456789eE".utf8.contains($0) }),
      let value = Double(text), value.isFinite
    else { throw ModelError(.malformed, "has '\(text.printable(limit: 40))' where a finite number is expected") }
    return value
  }
}
