import ModelCore
import ModelImages
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension DrawnSet {
  /// What was written.
  public struct Written: Sendable, Hashable {
    /// The description, `data.yaml`.
    public let description: FilePath
    /// How many pictures each part has.
    public let pictures: [Part: Int]
    /// How many objects of each class each part has.
    public let objectsByClass: [Part: [Int]]

    /// How many objects there are.
    public var objectCount: Int { objectsByClass.values.joined().reduce(0, +) }
  }

  /// Draws a set into a folder that is not there or empty: `images/train/00000.png` and so on, without loss, their YOLO
  /// labels beside them in `labels`, and at the end `data.yaml`, which ``DetectionDescription`` and YOLO's own programs
  /// read. Without it there is no set; of one that fails or is stopped nothing stays.
  /// - Parameters:
  ///   - training, validation: how many pictures, 1 to 100000.
  ///   - isAbsolute: whether `data.yaml` has whole paths. Relative ones go with the folder wherever it is moved; YOLOv5
  ///     takes them from its own folder, YOLOv6 from the working directory.
  ///   - comment: a line that `data.yaml` begins with, such as how to draw the set again.
  ///   - shouldStop: is asked now and then whether to stop.
  ///   - observing: is told how many pictures are drawn.
  /// - Returns: nil where it was stopped.
  /// - Throws: `ModelError` for counts beyond these, a folder with something in it, and what cannot be written.
  public func write(
    to location: some FileLocation, training: Int, validation: Int, isAbsolute: Bool = false, comment: String? = nil,
    shouldStop: () -> Bool = { false }, observing: (Int) -> Void = { _ in }
  ) throws -> Written? {
    let counts: [Part: Int] = [.train: training, .val: validation]
    for (part, count) in counts where !Self.counts.contains(count) {
      throw ModelError(
        .invalid, "\(count) pictures are not drawn for '\(part.rawValue)'; it has 1 to \(Self.counts.upperBound)")
    }
    let folder = try NewFolder(try location.filePath)
    let description = try self.description(of: folder.path, isAbsolute: isAbsolute, comment: comment)
    var jobs = Part.allCases.flatMap { part in (0..<(counts[part] ?? 0)).map { Job(part: part, index: $0) } }
    for part in Part.allCases {
      for kind in ["images", "labels"] { try folder.make("\(kind)/\(part.rawValue)") }
    }
    let step = 16 * Parallel.threadCount
    for start in stride(from: 0, to: jobs.count, by: step) {
      if shouldStop() { return nil }
      var part = Array(jobs[start..<min(start + step, jobs.count)])
      try Parallel.update(&part) { job in
        try Parallel.$threadCount.withValue(1) { try write(&job, to: folder) }
      }
      jobs.replaceSubrange(start..<start + part.count, with: part)
      observing(start + part.count)
    }
    let path = folder.path.appending("data.yaml")
    try AtomicFile.write(description, to: path)
    folder.keep()
    var objects = counts.mapValues { _ in [Int](repeating: 0, count: classNames.count) }
    for job in jobs { for object in job.objects { objects[job.part]?[object.classIndex] += 1 } }
    return Written(description: path, pictures: counts, objectsByClass: objects)
  }

  private struct Job: Sendable {
    let part: Part
    let index: Int
    var objects: [DrawnScene.Object] = []

    var names: (picture: String, labels: String) {
      let stem = "\(part.rawValue)/" + CFormat.string("%05d", index)
      return ("images/\(stem).png", "labels/\(stem).txt")
    }
  }

  private func write(_ job: inout Job, to folder: NewFolder) throws {
    let scene = try scene(job.part, job.index)
    let names = job.names
    // Grain does not become smaller for more work.
    try folder.write(ImageFile(pixels: scene.pixels).encoded(as: .png, compression: 1), to: names.picture)
    try folder.write(Array(scene.labelText.utf8), to: names.labels)
    job.objects = scene.objects
  }

  private func description(of folder: FilePath, isAbsolute: Bool, comment: String?) throws -> String {
    func quoted(_ text: String) throws -> String {
      let refused: [Unicode.GeneralCategory] = [.control, .lineSeparator, .paragraphSeparator, .unassigned]
      guard text.unicodeScalars.allSatisfy({ !refused.contains($0.properties.generalCategory) }) else {
        throw ModelError(
          .invalid, "the name '\(text.printable(limit: 40))' has characters that cannot stand in data.yaml")
      }
      return "'" + text.replacing("'", with: "''") + "'"
    }
    var root = ""
    if isAbsolute {
      guard let resolved = realpath(folder.string, nil) else {
        throw ModelError(.system, "cannot be examined: \(Errno(rawValue: errno))", file: folder.string)
      }
      root = String(cString: resolved) + "/"
      free(resolved)
    }
    let lines = try [
      comment.map { "# " + $0.printable() },
      "train: " + quoted(root + "images/train"), "val: " + quoted(root + "images/val"), "nc: \(classNames.count)",
      "names: [" + classNames.map(quoted).joined(separator: ", ") + "]",
    ]
    return lines.compactMap { $0 }.joined(separator: "\n") + "\n"
  }
}
