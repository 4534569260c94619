import ModelCore
import ModelImages
import SystemPackage

/// Pictures with boxes of classes.
///
/// Labels and the pictures' sizes are checked when a set is opened; pictures are decoded when they are asked for. No file
/// of the set is ever written.
public struct DetectionSet: Sendable {
  /// A picture and its objects.
  public struct Sample: Sendable, Hashable {
    /// The picture's file.
    public let path: FilePath
    /// The picture's [height, width] in pixels, upright.
    public let size: [Int]
    /// Its objects.
    public let labels: [BoxLabel]
    /// Its number in COCO's file of instances; nil where the set is from none, or it has a name there.
    public var imageID: Int?
  }

  /// The file or folder that it was read from.
  public let name: String
  /// The names of the classes; a label is an index.
  public let classNames: [String]
  /// The numbers that the classes have in COCO's files: those of the file of instances that the set is from, else from 0.
  public let categoryIDs: [Int]
  /// The pictures, in the order of their paths.
  public let samples: [Sample]
  /// What the check of the set found.
  public let report: DetectionReport

  /// How many pictures there are.
  public var count: Int { samples.count }

  /// The shortest side of a picture.
  static let shortestSide = 10

  /// A picture that may become a sample.
  struct Candidate: Sendable {
    let path: FilePath
    /// The list that names it, and its line there.
    var list: FilePath?
    var line: Int?
    /// What is known of it; nil asks its file of labels.
    var known: (size: [Int], labels: [BoxLabel])?
    var imageID: Int?
  }

  /// Checks candidates.
  /// - Parameters:
  ///   - decoding: whether all pictures are decoded, which finds damage behind their heads.
  ///   - faults, notes: what was found before.
  init(
    name: String, classNames: [String], categoryIDs: [Int]? = nil, _ candidates: [Candidate], decoding: Bool,
    faults: [SetFinding] = [], notes: [SetFinding] = []
  ) {
    struct Job: Sendable {
      let candidate: Candidate
      var sample: Sample?
      var isUnlabelled = false
      var faults: [SetFinding] = []
      var notes: [SetFinding] = []
    }
    var jobs = candidates.map { Job(candidate: $0) }
    let classCount = classNames.count
    jobs.withUnsafeMutableBufferPointer { buffer in
      nonisolated(unsafe) let jobs = buffer
      Parallel.forEach(jobs.count) { index in
        let candidate = jobs[index].candidate
        var labels = candidate.known?.labels ?? []
        if candidate.known == nil {
          if let file = LabelFile(Self.labelFile(of: candidate.path), classCount: classCount) {
            labels = file.labels
            jobs[index].faults = file.faults
            jobs[index].notes = file.notes
          } else {
            jobs[index].isUnlabelled = true
          }
        }
        do {
          let size = try Self.size(of: candidate, decoding: decoding)
          if jobs[index].faults.isEmpty {
            jobs[index].sample = Sample(
              path: candidate.path, size: size, labels: labels, imageID: candidate.imageID)
          }
        } catch {
          let isListed = candidate.list != nil && !FileFolder.exists(candidate.path)
          jobs[index].faults.append(
            isListed
              ? SetFinding(
                candidate.list ?? candidate.path, line: candidate.line,
                reason: "names a picture that is not there: \(candidate.path.string.printable())")
              : SetFinding(candidate.path, error))
        }
      }
    }
    let allFaults = [faults, jobs.flatMap(\.faults)].joined()
    let samples = jobs.compactMap(\.sample)
    var boxes = [Int](repeating: 0, count: classCount)
    for label in samples.lazy.flatMap(\.labels) where boxes.indices.contains(label.classIndex) {
      boxes[label.classIndex] += 1
    }
    report = DetectionReport(
      name: name, pictureCount: samples.count, boxCount: boxes.reduce(0, +),
      unlabelledCount: jobs.reduce(0) { $0 + ($1.sample != nil && $1.isUnlabelled ? 1 : 0) }, boxesByClass: boxes,
      faultCount: allFaults.count, faults: Array(allFaults.prefix(DetectionReport.kept)),
      notes: Array((notes + jobs.flatMap(\.notes)).prefix(DetectionReport.kept)))
    (self.name, self.classNames, self.samples) = (name, classNames, samples)
    self.categoryIDs = categoryIDs ?? Array(classNames.indices)
  }

  /// The set where it has no faults.
  /// - Throws: `ModelError` for the first faults, and for no pictures.
  func checked() throws -> DetectionSet {
    if let refusal = report.refusal { throw refusal }
    guard !samples.isEmpty else { throw ModelError(.missing, "has no pictures", file: name) }
    return self
  }

  private static func size(of candidate: Candidate, decoding: Bool) throws -> [Int] {
    let path = candidate.path
    guard PictureFolder.isRead(path) else {
      throw ModelError(.unsupported, "is a picture in a format that is not read; convert it to PNG or JPEG")
    }
    let size = decoding ? Array(try ImageFile.decoded(path).shape.prefix(2)) : try ImageFile.size(of: path)
    guard size.allSatisfy({ $0 >= shortestSide }) else {
      throw ModelError(.invalid, "is \(size[1])x\(size[0]) pixels, where sides have at least \(shortestSide)")
    }
    if let known = candidate.known?.size, known != size {
      throw ModelError(
        .mismatch, "is \(size[1])x\(size[0]) pixels upright, where its boxes are of \(known[1])x\(known[0])")
    }
    return size
  }

  /// Where YOLO looks for the labels of a picture: the last folder `images` of its path is `labels`, the name ends in
  /// `.txt`.
  public static func labelFile(of picture: FilePath) -> FilePath {
    var path = picture
    path.extension = "txt"
    var folders = Array(path.components)
    let name = folders.popLast()
    if let place = folders.lastIndex(where: { $0.string == "images" }) { folders[place] = "labels" }
    var result = FilePath(root: path.root, folders)
    if let name { result.append(name) }
    return result
  }

  /// A sample's picture, uint8 [height, width, 3], RGB and upright.
  /// - Throws: `ModelError` that names the file, for one that cannot be read or has another size than before, and for an
  ///   index beyond the set.
  public func picture(_ index: Int) throws -> Tensor {
    guard samples.indices.contains(index) else {
      throw ModelError(.invalid, "has \(count) pictures, none at \(index)", file: name)
    }
    let sample = samples[index]
    let picture = try ImageFile.decoded(sample.path)
    guard Array(picture.shape.prefix(2)) == sample.size else {
      throw ModelError(
        .mismatch, "is \(picture.shape[1])x\(picture.shape[0]) pixels, and was \(sample.size[1])x\(sample.size[0])",
        file: sample.path.string)
    }
    return picture
  }
}
