import ModelCore
import ModelData
import ModelDetection

extension DetectionSet {
  /// Writes what was found in the set's pictures as COCO's results, which pycocotools loads beside the set's file of
  /// instances: whole or not at all.
  /// - Parameter predictions: whose pictures and classes are the set's.
  /// - Throws: `ModelError` for pictures and classes that there are not, and when the file cannot be written.
  public func writeCOCOResults(_ predictions: [DetectionPrediction], to location: some FileLocation) throws {
    let (images, categories) = (imageIDs, categoryIDs)
    let file = try AtomicFile(replacing: location)
    try file.write("[".utf8)
    var text = ""
    for (index, found) in predictions.enumerated() {
      guard images.indices.contains(found.picture), categories.indices.contains(found.classIndex) else {
        throw ModelError(
          .invalid, "is of picture \(found.picture) and class \(found.classIndex), which the set does not have",
          subject: "prediction \(index)")
      }
      text += index > 0 ? ",\n" : "\n"
      text += "{\"image_id\":\(images[found.picture]),\"category_id\":\(categories[found.classIndex]),"
      text += "\"bbox\":[\(found.x),\(found.y),\(found.width),\(found.height)],\"score\":\(found.score)}"
      if text.utf8.count > 1 << 16 {
        try file.write(text.utf8)
        text = ""
      }
    }
    try file.write((text + "\n]\n").utf8)
    try file.commit()
  }
}
