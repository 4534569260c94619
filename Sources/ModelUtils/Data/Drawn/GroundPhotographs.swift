import ModelCore
import ModelImages
import ModelRandom
import SystemPackage

/// Photographs whose parts are grounds: a square anywhere, from as large as the ground to as large as goes, mirrored or
/// not, resized as Pillow does.
struct GroundPhotographs: Sendable {
  private let files: [FilePath]
  private let decoded = PictureCache(limit: 512 << 20)

  init(_ files: [FilePath]) { self.files = files }

  /// Rows of red, green and blue, 0 to 1.
  /// - Throws: `ModelError` for a file that cannot be read.
  func ground(size: Int, drawing generator: inout NumPyGenerator) throws -> [Double] {
    let index = try generator.integer(below: files.count)
    let picture = try decoded.picture(index) { try ImageFile.decoded(files[$0]) }
    let (height, width) = (picture.shape[0], picture.shape[1])
    let longest = min(height, width)
    let side = try generator.integer(from: min(size, longest), below: longest + 1)
    let left = try generator.integer(below: width - side + 1)
    let top = try generator.integer(below: height - side + 1)
    let isMirrored = try generator.integer(below: 2) == 1
    let part = try picture.cropped(CropRectangle(top: top, left: left, height: side, width: side))
    let ground = try resizeAntialiased(part, to: [size, size])
    return try (isMirrored ? ground.mirrored() : ground).elements(of: UInt8.self).map { Double($0) / 255 }
  }
}
