import ModelCore
import SystemPackage

#if canImport(FoundationEssentials)
  import FoundationEssentials
#elseif canImport(Foundation)
  import Foundation
#endif

extension DetectionSet {
  /// The numbers of the pictures in COCO's files: those of the file of instances that the set is from; else those that
  /// their files are named by, where all have different ones, as COCO's own do; else from 1 in the order of the set.
  public var imageIDs: [Int] {
    let given = samples.compactMap(\.imageID)
    if given.count == count, Set(given).count == count { return given }
    let numbers = samples.map { sample in
      sample.path.stem.flatMap { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int($0) : nil }
    }
    let known = numbers.compactMap { $0 }
    return known.count == count && Set(known).count == count ? known : Array(1..<count + 1)
  }

  /// The set in COCO's format of instances, JSON, which pycocotools loads: categories in the order of the classes,
  /// annotations from 1 (0 stands for "no match" there), boxes as x, y, width, height in pixels.
  /// - Throws: `ModelError` for what cannot be encoded.
  public func cocoInstances() throws -> [UInt8] {
    let ids = imageIDs
    let root = commonFolder.components.count
    var file = COCOInstances(
      images: [], annotations: [],
      categories: zip(categoryIDs, classNames).map { .init(id: $0, name: $1, supercategory: "") })
    for (index, sample) in samples.enumerated() {
      let (height, width) = (sample.size[0], sample.size[1])
      let name = FilePath(root: nil, sample.path.components.dropFirst(root))
      file.images.append(.init(id: ids[index], fileName: name.string, width: width, height: height))
      for label in sample.labels {
        let (x, y, w, h) = (Double(label.x), Double(label.y), Double(label.width), Double(label.height))
        let left = (x - w / 2) * Double(width)
        let top = (y - h / 2) * Double(height)
        let (across, down) = (
          max(0, (x + w / 2) * Double(width) - left), max(0, (y + h / 2) * Double(height) - top)
        )
        file.annotations.append(
          .init(
            id: file.annotations.count + 1, imageID: ids[index], categoryID: categoryIDs[label.classIndex],
            bbox: [left, top, across, down], area: across * down, iscrowd: 0, segmentation: []))
      }
    }
    do {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return [UInt8](try encoder.encode(file))
    } catch { throw ModelError(.invalid, "cannot be written as JSON: \(error)", file: name) }
  }

  /// Writes `cocoInstances`, whole or not at all, and makes the folders that it is to lie in.
  /// - Throws: `ModelError` when the file cannot be written.
  public func writeCOCO(to location: some FileLocation) throws {
    let path = try location.filePath
    let bytes = try cocoInstances()
    try FileFolder.make(path.removingLastComponent())
    let file = try AtomicFile(replacing: path)
    try file.write(bytes)
    try file.commit()
  }

  /// The deepest folder that all pictures lie in.
  private var commonFolder: FilePath {
    guard var folder = samples.first?.path.removingLastComponent() else { return FilePath("") }
    for sample in samples {
      while !folder.components.isEmpty, !sample.path.starts(with: folder) { folder.removeLastComponent() }
    }
    return folder
  }
}

/// COCO's file of instances.
private struct COCOInstances: Encodable {
  struct Image: Encodable {
    let id: Int
    let fileName: String
    let width: Int, height: Int

    private enum CodingKeys: String, CodingKey {
      case id, width, height
      case fileName = "file_name"
    }
  }

  struct Annotation: Encodable {
    let id: Int, imageID: Int, categoryID: Int
    let bbox: [Double]
    let area: Double
    let iscrowd: Int
    let segmentation: [Int]

    private enum CodingKeys: String, CodingKey {
      case id, bbox, area, iscrowd, segmentation
      case imageID = "image_id"
      case categoryID = "category_id"
    }
  }

  struct Category: Encodable {
    let id: Int
    let name: String
    let supercategory: String
  }

  var images: [Image]
  var annotations: [Annotation]
  var categories: [Category]
}
