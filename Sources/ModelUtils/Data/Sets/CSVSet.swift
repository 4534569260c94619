import ModelCore
import SystemPackage

extension ClassificationSet {
  /// A CSV file: `path,label`, where paths are relative to the file's folder and labels are numbers or names of
  /// classes; or `label,pixel,pixel,…`, where all pictures have the same size.
  ///
  /// A first line that fits neither is a heading. Numbers are labels as they are; names are sorted. Fields may stand in
  /// double quotes.
  /// - Parameters:
  ///   - shape: [height, width, channels] of pictures in the file; a grey square when nil.
  ///   - classNames: the classes that there are; those of the labels when nil.
  /// - Throws: `ModelError` with the line's number for lines of another form, pixels that are not 0 to 255, labels out
  ///   of range and paths of files that are not there.
  public init(csv location: some FileLocation, shape: [Int]? = nil, classNames: [String]? = nil) throws {
    let path = try location.filePath
    let file = try FileBytes(mapping: path)
    do {
      var table = CSVTable(file)
      guard let first = try table.next() else { throw ModelError(.missing, "has no samples") }
      var rows = first.count > 2 ? CSVPixels(shape: shape, width: first.count - 1) : nil
      var (paths, texts): ([FilePath], [String]) = ([], [])
      var row: [String]? = first
      while let fields = row {
        let line = table.line
        do {
          if rows != nil {
            // A heading has words where pixels have numbers.
            if line > 1 || fields.allSatisfy({ Int($0) != nil }) {
              try rows?.add(fields)
              texts.append(fields[0])
            }
          } else if fields.count == 2 {
            if line > 1 || Self.isPicture(fields[0]) {
              paths.append(try Self.file(fields[0], in: path.removingLastComponent()))
              texts.append(fields[1])
            }
          } else {
            throw ModelError(.malformed, "has \(fields.count) fields where path and label are expected")
          }
        } catch let error as ModelError { throw error.about("line \(line)") }
        row = try table.next()
      }
      let (labels, names) = try Self.labels(texts, classNames)
      try self.init(
        name: path.string, classNames: names, labels: labels,
        source: try rows.map { .array(try $0.tensor()) } ?? .files(paths))
    } catch let error as ModelError { throw error.inFile(path.string) }
  }

  private static func isPicture(_ text: String) -> Bool {
    pictureExtensions.contains(FilePath(text).extension?.lowercased() ?? "")
  }

  private static func file(_ text: String, in folder: FilePath) throws -> FilePath {
    let path = folder.pushing(try text.filePath)
    guard FileFolder.exists(path) else { throw ModelError(.missing, "names a file that is not there: \(path.string)") }
    return path
  }

  private static func labels(_ texts: [String], _ classNames: [String]?) throws -> ([Int], [String]) {
    let numbers = texts.map { Int($0) }
    if numbers.allSatisfy({ $0 != nil }) {
      let labels = numbers.compactMap { $0 }
      return (labels, try classNames ?? names(of: labels))
    }
    let names = classNames ?? Set(texts).sorted(by: isBefore)
    let places = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
    let labels = try texts.map { text in
      guard let label = places[text] else { throw ModelError(.mismatch, "has a class '\(text)' that is not known") }
      return label
    }
    return (labels, names)
  }
}

/// The pixels of a CSV file's lines.
private struct CSVPixels {
  let shape: [Int]?
  private var pixels: [UInt8] = []
  let width: Int
  private var rows = 0

  init(shape: [Int]?, width: Int) { (self.shape, self.width) = (shape, width) }

  mutating func add(_ fields: [String]) throws {
    let count = fields.count - 1
    guard width == count else {
      throw ModelError(.mismatch, "has \(count) pixels where the lines before have \(width)")
    }
    rows += 1
    for field in fields.dropFirst() {
      guard let pixel = UInt8(field) else { throw ModelError(.invalid, "has a pixel '\(field)' that is not 0 to 255") }
      pixels.append(pixel)
    }
  }

  func tensor() throws -> Tensor {
    let side = Int(Double(width).squareRoot())
    let size = shape ?? [side, side, 1]
    guard size.count == 3, Tensor.elementCount(size) == width else {
      throw ModelError(
        .mismatch, "has \(width) pixels a line, which are not \(shape.map { "\($0)" } ?? "a grey square")",
        advice: "give the shape [height, width, channels]")
    }
    return try Tensor(pixels, [rows] + size)
  }
}

/// The lines of a CSV file; empty ones are left out.
private struct CSVTable {
  /// The longest line, far beyond a picture's.
  private static let lineLimit = 16 << 20
  private let file: FileBytes
  private var offset = 0
  /// The number of the line that was read last, from 1.
  private(set) var line = 0

  init(_ file: FileBytes) { self.file = file }

  mutating func next() throws -> [String]? {
    while offset < file.count {
      let rest = UnsafeRawBufferPointer(rebasing: file.bytes[offset...])
      let length = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
      guard length <= Self.lineLimit else { throw ModelError(.limit, "has a line of \(length) bytes", offset: offset) }
      var bytes = rest[..<length]
      offset += length + 1
      line += 1
      if bytes.last == UInt8(ascii: "\r") { bytes = bytes.dropLast() }
      if line == 1, bytes.starts(with: [0xef, 0xbb, 0xbf]) { bytes = bytes.dropFirst(3) }
      if !bytes.isEmpty { return try fields(bytes) }
    }
    return nil
  }

  private func fields(_ bytes: Slice<UnsafeRawBufferPointer>) throws -> [String] {
    var fields: [String] = []
    var field: [UInt8] = []
    var (isQuoted, wasQuoted) = (false, false)
    var index = bytes.startIndex
    func end() throws -> String {
      guard let text = String(sound: field) else {
        throw ModelError(.malformed, "is no UTF-8", subject: "line \(line)")
      }
      guard !wasQuoted else { return text }
      return text.trimmed()
    }
    while index < bytes.endIndex {
      let byte = bytes[index]
      index += 1
      if isQuoted {
        guard byte == UInt8(ascii: "\"") else {
          field.append(byte)
          continue
        }
        if index < bytes.endIndex, bytes[index] == byte {
          field.append(byte)
          index += 1
        } else {
          isQuoted = false
        }
      } else if byte == UInt8(ascii: "\""), field.isEmpty {
        (isQuoted, wasQuoted) = (true, true)
      } else if byte == UInt8(ascii: ",") {
        fields.append(try end())
        (field, wasQuoted) = ([], false)
      } else {
        field.append(byte)
      }
    }
    guard !isQuoted else { throw ModelError(.malformed, "has a quote without its end", subject: "line \(line)") }
    fields.append(try end())
    return fields
  }
}

extension String {
  fileprivate func trimmed() -> String {
    String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
  }
}
