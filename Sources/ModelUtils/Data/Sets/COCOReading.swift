import ModelCheckpoints
import ModelCore
import SystemPackage

extension DetectionSet {
  /// COCO's file of instances and the folder of its pictures.
  ///
  /// The classes are the categories in the order of their numbers. Annotations of crowds are left out. Boxes are cut at
  /// their pictures' edges; one of which nothing is left is a fault.
  /// - Parameters:
  ///   - instances: the JSON file.
  ///   - folder: where its file names begin.
  ///   - decoding: whether all pictures are decoded, which finds damage behind their heads.
  /// - Throws: `ModelError` for a file of another form and for the first faults, with their count.
  public init(
    coco instances: some FileLocation, pictures folder: some FileLocation, decoding: Bool = false
  ) throws {
    let root = try folder.filePath
    let path = try instances.filePath
    let file = try COCOFile(FileBytes(mapping: path))
    var faults: [SetFinding] = []
    var notes: [SetFinding] = []
    let categories = file.categories.sorted { $0.id < $1.id }
    let classes = Dictionary(zip(categories.map(\.id), 0...), uniquingKeysWith: { first, _ in first })
    if classes.count < categories.count {
      faults.append(SetFinding(path, reason: "has several categories with the same number"))
    }
    var places: [COCOFile.Identifier: Int] = [:]
    var candidates: [Candidate] = []
    for image in file.images {
      guard let picture = root.lexicallyResolving(FilePath(image.fileName)) else {
        faults.append(
          SetFinding(path, reason: "names a picture outside of its folder: \(image.fileName.printable(limit: 80))"))
        continue
      }
      guard places.updateValue(candidates.count, forKey: image.id) == nil else {
        faults.append(SetFinding(path, reason: "has several images with the id \(image.id)"))
        continue
      }
      candidates.append(
        Candidate(path: picture, list: path, known: (image.size, []), imageID: image.id.number))
    }
    let crowds = file.annotations.reduce(0) { $0 + ($1.isCrowd ? 1 : 0) }
    if crowds > 0 { notes.append(SetFinding(path, reason: "has \(crowds) annotations of crowds, which are left out")) }
    for (index, annotation) in file.annotations.enumerated() where !annotation.isCrowd {
      func fault(_ reason: String) { faults.append(SetFinding(path, reason: "annotation \(index): \(reason)")) }
      guard let place = places[annotation.image] else {
        fault("is of an image that is not there, \(annotation.image)")
        continue
      }
      guard let number = classes[annotation.category] else {
        fault("is of a category that is not there, \(annotation.category)")
        continue
      }
      guard let size = candidates[place].known?.size, let label = annotation.label(number, size: size) else {
        fault("has the box \(annotation.box), of which nothing lies in its picture")
        continue
      }
      candidates[place].known?.labels.append(label)
    }
    candidates.sort { isBefore($0.path.string, $1.path.string) }
    self = try DetectionSet(
      name: path.string, classNames: categories.map(\.name),
      categoryIDs: categories.map { Int(clamping: $0.id) }, candidates, decoding: decoding, faults: faults,
      notes: notes
    ).checked()
  }
}

/// What COCO's file of instances holds of boxes.
private struct COCOFile {
  /// A number, or what else names an image.
  enum Identifier: Hashable, CustomStringConvertible {
    case number(UInt64)
    case name(String)

    var number: Int? {
      if case .number(let number) = self { Int(exactly: number) } else { nil }
    }

    var description: String {
      switch self {
      case .number(let number): "\(number)"
      case .name(let name): "'\(name.printable(limit: 40))'"
      }
    }
  }

  struct Image {
    var id: Identifier
    var fileName: String
    /// [height, width].
    var size: [Int]
  }

  struct Annotation {
    var image: Identifier
    var category: UInt64
    /// x, y, width, height in pixels.
    var box: [Double]
    var isCrowd = false

    func label(_ classIndex: Int, size: [Int]) -> BoxLabel? {
      guard box.allSatisfy(\.isFinite), size.allSatisfy({ $0 > 0 }) else { return nil }
      let (height, width) = (Double(size[0]), Double(size[1]))
      let (left, right) = (max(0, box[0]), min(width, box[0] + box[2]))
      let (top, bottom) = (max(0, box[1]), min(height, box[1] + box[3]))
      guard right > left, bottom > top else { return nil }
      return BoxLabel(
        classIndex: classIndex, x: Float((left + right) / 2 / width), y: Float((top + bottom) / 2 / height),
        width: Float((right - left) / width), height: Float((bottom - top) / height))
    }
  }

  struct Category {
    var id: UInt64
    var name: String
  }

  private(set) var images: [Image] = []
  private(set) var annotations: [Annotation] = []
  private(set) var categories: [Category] = []

  init(_ file: FileBytes) throws {
    var reader = JSONReader(file.bytes, file: file.name)
    try reader.openObject()
    while let name = try reader.nextName() {
      if name == "images" {
        images = try Self.elements(&reader, Self.image)
      } else if name == "annotations" {
        annotations = try Self.elements(&reader, Self.annotation)
      } else if name == "categories" {
        categories = try Self.elements(&reader, Self.category)
      } else {
        try reader.skipValue()
      }
    }
    try reader.finish()
    guard !categories.isEmpty, categories.count <= DetectionDescription.classLimit else {
      throw ModelError(
        .malformed, "has \(categories.count) categories; it is no file of COCO's instances", file: file.name)
    }
  }

  private static func elements<Element>(
    _ reader: inout JSONReader, _ element: (inout JSONReader) throws -> Element
  ) throws -> [Element] {
    var elements: [Element] = []
    try reader.openArray()
    while try reader.nextElement() { elements.append(try element(&reader)) }
    return elements
  }

  private static func identifier(_ reader: inout JSONReader) throws -> Identifier {
    if reader.peek() == UInt8(ascii: "\"") { return .name(try reader.readText().string) }
    return .number(try natural(&reader))
  }

  private static func natural(_ reader: inout JSONReader) throws -> UInt64 {
    let offset = reader.offset
    guard let number = try reader.readNumber() else {
      throw reader.failure("a whole number from 0 should stand here", at: offset)
    }
    return number
  }

  private static func side(_ reader: inout JSONReader) throws -> Int {
    let offset = reader.offset
    let number = try natural(&reader)
    guard (1...1 << 24).contains(number) else {
      throw reader.failure("a picture has no side of \(number) pixels", at: offset)
    }
    return Int(number)
  }

  private static func image(_ reader: inout JSONReader) throws -> Image {
    var (id, name, width, height): (Identifier?, String?, Int?, Int?)
    try reader.openObject()
    while let key = try reader.nextName() {
      if key == "id" {
        id = try identifier(&reader)
      } else if key == "file_name" {
        name = try reader.readText().string
      } else if key == "width" {
        width = try side(&reader)
      } else if key == "height" {
        height = try side(&reader)
      } else {
        try reader.skipValue()
      }
    }
    guard let id, let name, !name.utf8.contains(0), let width, let height else {
      throw reader.failure("an image lacks its id, file_name, width or height")
    }
    return Image(id: id, fileName: name, size: [height, width])
  }

  private static func annotation(_ reader: inout JSONReader) throws -> Annotation {
    var (image, category, box): (Identifier?, UInt64?, [Double]?)
    var isCrowd = false
    try reader.openObject()
    while let key = try reader.nextName() {
      if key == "image_id" {
        image = try identifier(&reader)
      } else if key == "category_id" {
        category = try natural(&reader)
      } else if key == "bbox" {
        box = try elements(&reader) { try $0.readDouble() }
      } else if key == "iscrowd", let first = reader.peek(), (0x30...0x39).contains(first) {
        isCrowd = try reader.readDouble() != 0
      } else {
        try reader.skipValue()
      }
    }
    guard let image, let category, let box, box.count == 4 else {
      throw reader.failure("an annotation lacks its image_id, category_id or bbox of four numbers")
    }
    return Annotation(image: image, category: category, box: box, isCrowd: isCrowd)
  }

  private static func category(_ reader: inout JSONReader) throws -> Category {
    var (id, name): (UInt64?, String?)
    try reader.openObject()
    while let key = try reader.nextName() {
      if key == "id" {
        id = try natural(&reader)
      } else if key == "name" {
        name = try reader.readText().string
      } else {
        try reader.skipValue()
      }
    }
    guard let id, let name else { throw reader.failure("a category lacks its id or name") }
    return Category(id: id, name: name)
  }
}
