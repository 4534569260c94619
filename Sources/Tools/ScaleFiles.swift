import ModelUtils
import SystemPackage

/// One picture to read (the embedded one where `input` is nil) and where it goes.
struct ScaleJob: Sendable {
  let name: String
  let input: FilePath?
  let output: FilePath?
}

/// Which pictures, and where to.
enum ScaleInput {
  /// Pairs each picture with its output.
  /// - Throws: `ModelError` when an output exists, two are the same, or no format is meant by its extension.
  static func jobs(
    _ inputs: [FilePath], output: String?, ending: String?, isMany: Bool, batch: Bool, force: Bool, dryRun: Bool
  ) throws -> [ScaleJob] {
    if batch, let output {
      guard FilePath(output).extension?.lowercased() == "safetensors" else {
        throw ModelError(
          .invalid,
          "is no safetensors file", file: output, advice: "give --batch an output that ends in .safetensors")
      }
      try PictureFiles.check(FilePath(output), force: force)
      return inputs.isEmpty ? [ScaleJob(name: "sample.jpg", input: nil, output: nil)] : inputs.map { job($0, nil) }
    }
    guard isMany || output.map({ $0.hasSuffix("/") || PictureFiles.isFolder(FilePath($0)) }) == true else {
      return [try single(inputs.first, output, ending: ending, force: force)]
    }
    guard let output else {
      throw ModelError(
        .invalid, "\(inputs.count) pictures need a place to go", advice: "give a folder with -o, or --batch")
    }
    let folder = FilePath(output)
    guard !inputs.isEmpty else {
      if !dryRun { try PictureFiles.makeFolder(folder) }
      return [try single(nil, folder.appending("sample.\(ending ?? "jpg")").string, force: force)]
    }
    return zip(inputs, try PictureFiles.outputs(of: inputs, in: folder, ending: ending, force: force, dryRun: dryRun))
      .map {
        job($0, $1)
      }
  }

  private static func single(_ input: FilePath?, _ output: String?, ending: String? = nil, force: Bool) throws
    -> ScaleJob
  {
    let name = input?.lastComponent?.string ?? "sample.jpg"
    var path = output.map { FilePath($0) }
    if path == nil, let input {
      let file = FilePath(name)
      let ending = ending ?? (ImageFile.Format(of: file) == nil ? "png" : file.extension ?? "png")
      path = input.removingLastComponent().appending("\(file.stem ?? name)-scaled.\(ending)")
    }
    if let path {
      guard ImageFile.Format(of: path) != nil || path.extension?.lowercased() == "safetensors" else {
        throw ModelError(
          .invalid,
          "has no extension that names a format", file: path.string, advice: "name it .png, .jpg, .jpeg or .safetensors"
        )
      }
      try PictureFiles.check(path, force: force)
    }
    return ScaleJob(name: name, input: input, output: path)
  }

  private static func job(_ input: FilePath, _ output: FilePath?) -> ScaleJob {
    ScaleJob(name: input.lastComponent?.string ?? input.string, input: input, output: output)
  }
}

/// Pictures as tensors of one safetensors file.
enum ScaleBatch {
  /// Equal shapes are stacked in the order of the pictures: `images` [n, 3, h, w] where all are equal, else
  /// `images.HxW` for each size. The metadata says which picture is which.
  static func write(_ results: [ScaleResult], to path: FilePath) throws {
    var groups: [(shape: [Int], members: [Int])] = []
    for (index, result) in results.enumerated() {
      let shape = result.line.output
      if let known = groups.firstIndex(where: { $0.shape == shape }) {
        groups[known].members.append(index)
      } else {
        groups.append((shape, [index]))
      }
    }
    let stacks = try groups.map { group in
      try Tensor(.float32, [group.members.count, 3] + group.shape) { bytes in
        let size = bytes.count / group.members.count
        for (place, member) in group.members.enumerated() {
          guard let tensor = results[member].tensor else { continue }
          try tensor.copyBytes(to: UnsafeMutableRawBufferPointer(rebasing: bytes[place * size..<(place + 1) * size]))
        }
      }
    }
    var state = StateDict()
    var metadata: [String: String] = [:]
    for (group, stack) in zip(groups, stacks) {
      let name = groups.count == 1 ? "images" : "images.\(group.shape[0])x\(group.shape[1])"
      state[name] = stack
      for (place, member) in group.members.enumerated() { metadata["\(name).\(place)"] = results[member].line.name }
    }
    state.metadata = metadata
    try SafeTensors.write(state, to: path)
  }
}
