import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelData
import ModelImages
import ModelInspection
import ModelWorkflows
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What models learn from, and how they are described.
enum DataTargets {
  static func yaml(_ bytes: [UInt8], _ folder: FilePath) throws {
    let file = FileBytes(name: "file.yaml", copying: bytes)
    if Architecture.recognizes(yaml: file) {
      let module = try attempt { try Architecture(yaml: file).module() }
      // A network may have 100,000 layers, for which there is no time here.
      if let module, module.parameterCount < 1 << 24 { _ = module.modelInfo(imageSize: (64, 64)).summary(.thop) }
    }
    var recipe = DetectorRecipe()
    _ = try attempt {
      _ = try recipe.set(from: file)
      try recipe.check()
    }
    let path = folder.appending("data.yaml")
    try write(bytes, to: path)
    let description = try DetectionDescription(contentsOf: path)
    for part in DetectionDescription.Part.allCases { _ = try attempt { try description.report(part) } }
  }

  static func picture(_ bytes: [UInt8]) throws {
    let picture = try ImageFile(FileBytes(name: "picture", copying: bytes), pixelLimit: 1 << 20)
    require(picture.pixels.shape == [picture.height, picture.width, 3], "a picture has three channels")
    let again = try ImageFile(FileBytes(name: "again", copying: picture.encoded(as: .png, compression: 1)))
    require(try picture.pixels.elementBytes == again.pixels.elementBytes, "PNG keeps each bit")
  }

  static func arrays(_ bytes: [UInt8], _ folder: FilePath) throws {
    let path = folder.appending("array")
    try write(bytes, to: path)
    if let array = try attempt({ try NumPyFile.read(path) }), array.byteCount < 1 << 22 {
      let copy = folder.appending("copy.npy")
      if try attempt({ try NumPyFile.write(array, to: copy) }) != nil {
        let again = try NumPyFile.read(copy)
        require(again.shape == array.shape && again.dtype == array.dtype, "an array keeps its type")
        require(try again.elementBytes == array.elementBytes, "an array keeps each bit")
      }
    }
    _ = try attempt { try NumPyArchive.read(path) }
    _ = try attempt { try IDXFile.read(path) }
    _ = try ClassificationSet(csv: path)
  }

  static func labels(_ bytes: [UInt8], _ folder: FilePath) throws {
    let (pictures, labels) = (folder.appending("images"), folder.appending("labels"))
    let description = folder.appending("labelled.yaml")
    if (try? FileBytes(mapping: description)) == nil {
      for part in [pictures, labels] { mkdir(part.string, 0o700) }
      try ImageFile(pixels: Tensor(.uint8, [12, 16, 3]) { _ in }).write(to: pictures.appending("one.png"))
      try write(Array("train: images\nval: images\nnames: [a, b, c]\n".utf8), to: description)
    }
    try write(bytes, to: labels.appending("one.txt"))
    _ = try attempt { try DetectionDescription(contentsOf: description).set(.train) }
    let instances = folder.appending("instances.json")
    try write(bytes, to: instances)
    let set = try DetectionSet(coco: instances, pictures: pictures)
    _ = try set.cocoInstances()
  }
}

extension Tensor {
  fileprivate var elementBytes: [UInt8] { get throws { try withContiguousBytes { Array($0) } } }
}
