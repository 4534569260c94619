import CKernels
import Foundation
import ModelCore
import ModelData
import ModelImages
import SystemPackage
import TestSupport
import Testing

/// Drawn sets are NumPy's and Pillow's: `Goldens/make_drawn.py`.
@Suite struct DrawnSetTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  struct Case: Decodable, Sendable {
    let kind: String
    let size: Int
    let seed: String
    let part: DrawnSet.Part
    let index: Int
    let sha256: String
    let labels: String
  }

  static let cases: [Case] = {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
    guard let data = try? Data(contentsOf: folder.appendingPathComponent("drawn.json")) else { return [] }
    return (try? JSONDecoder().decode([Case].self, from: data)) ?? []
  }()

  private func sha256(_ tensor: Tensor) throws -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    try tensor.withContiguousBytes { mk_sha256($0.baseAddress, $0.count, &digest) }
    return digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  /// Six pictures of the formula, of two classes.
  private func grey(_ height: Int, _ width: Int, classes: Int = 2) throws -> ClassificationSet {
    let one = try picture(height, width, 1).elements(of: UInt8.self)
    return try ClassificationSet(
      name: "grey", pictures: Tensor(Array(repeatElement(one, count: 6).joined()), [6, height, width]),
      labels: (0..<6).map { $0 % classes })
  }

  @Test func thereAreCases() { #expect(Self.cases.count == 60) }

  @Test(arguments: cases) func scenes(known: Case) throws {
    let objects: DrawnSet.Objects =
      switch known.kind {
      case "shapes": .shapes
      case "square": .pictures(try grey(28, 28))
      default: .pictures(try grey(20, 13))
      }
    let set = try DrawnSet(objects, size: known.size, seed: try #require(UInt64(known.seed)))
    let scene = try set.scene(known.part, known.index)
    #expect(scene.labelText == known.labels)
    #expect(try sha256(scene.pixels) == known.sha256)
  }

  @Test func files() throws {
    let set = try DrawnSet(size: 32, seed: 1)
    var told: [Int] = []
    let written = try #require(
      try set.write(
        to: folder["new/set"], training: 5, validation: 2, comment: "how\nit was drawn",
        observing: { told.append($0) }))
    #expect(told.last == 7 && written.pictures == [.train: 5, .val: 2])
    let text = try String(contentsOfFile: written.description.string, encoding: .utf8)
    #expect(
      text == """
        # how\\u{a}it was drawn
        train: 'images/train'
        val: 'images/val'
        nc: 6
        names: ['circle', 'square', 'triangle', 'star', 'cross', 'ring']

        """)
    let description = try DetectionDescription(contentsOf: written.description)
    #expect(description.classNames == set.classNames)
    for (part, count) in [(DrawnSet.Part.train, 5), (.val, 2)] {
      let read = try description.set(part == .train ? .train : .val, decoding: true)
      #expect(read.count == count && read.report.boxesByClass == written.objectsByClass[part])
      #expect(read.report.notes.isEmpty && read.report.unlabelledCount == 0)
      for index in 0..<count {
        let scene = try set.scene(part, index)
        #expect(try read.picture(index).elements(of: UInt8.self) == scene.pixels.elements(of: UInt8.self))
        #expect(read.samples[index].labels.count == scene.objects.count)
      }
    }
    #expect(written.objectCount == written.objectsByClass.values.joined().reduce(0, +))
  }

  @Test func photographsAreGrounds() throws {
    try ImageFile(pixels: picture(50, 70, 3)).write(to: folder["a.png"])
    try ImageFile(pixels: picture(20, 30, 3)).write(to: folder["b.png"])
    let set = try DrawnSet(on: [folder["a.png"], folder["b.png"]], size: 40)
    #expect(
      try set.scene(.train, 3).pixels.elements(of: UInt8.self) == set.scene(.train, 3).pixels.elements(of: UInt8.self))
    #expect(try sha256(set.scene(.train, 0).pixels) != sha256(set.scene(.train, 1).pixels))
    #expect(refusal { _ = try DrawnSet(on: [folder["none.png"]]).scene(.val, 0) }?.contains("none.png") == true)
  }

  @Test func nothingStaysOfWhatIsStopped() throws {
    let set = try DrawnSet(size: 16)
    var asked = 0
    let written = try Parallel.$threadCount.withValue(2) {
      try set.write(
        to: folder["a/b"], training: 1000, validation: 1,
        shouldStop: {
          asked += 1
          return asked == 2
        })
    }
    #expect(written == nil && asked == 2)
    #expect(FileManager.default.fileExists(atPath: folder["a"].string) == false)
    // An empty folder stays one.
    try FileManager.default.createDirectory(atPath: folder["c"].string, withIntermediateDirectories: true)
    #expect(try set.write(to: folder["c"], training: 1, validation: 1, shouldStop: { true }) == nil)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder["c"].string).isEmpty)
  }

  @Test func refusals() throws {
    for size in [Int.min, 0, 15, 2049, Int.max] { #expect(refusal { _ = try DrawnSet(size: size) } != nil) }
    let set = try DrawnSet(size: 16)
    for index in [-1, 100_000, Int.max] {
      #expect(refusal { _ = try set.scene(.val, index) }?.contains("none at \(index)") == true)
    }
    for counts in [(0, 1), (1, 0), (-1, 1), (100_001, 1), (1, Int.max)] {
      let message = refusal { _ = try set.write(to: folder["x"], training: counts.0, validation: counts.1) }
      #expect(message?.contains("it has 1 to 100000") == true)
    }
    try FolderMaker.make(folder["full/note"])
    try folder.write("mine", to: "full/note")
    let message = refusal { _ = try set.write(to: folder["full"], training: 1, validation: 1) }
    #expect(message?.hasSuffix("holds something already; give a folder that is new or empty") == true)
    #expect(
      refusal { _ = try set.write(to: folder["full/note"], training: 1, validation: 1) }?.contains("is a file") == true)
    #expect(refusal { _ = try set.write(to: "", training: 1, validation: 1) } != nil)
    let coloured = try ClassificationSet(name: "rgb", pictures: Tensor(.uint8, [2, 8, 8, 3]), labels: [0, 1])
    #expect(refusal { _ = try DrawnSet(.pictures(coloured)) }?.contains("pictures of 3 channels") == true)
    let missing = try ClassificationSet(name: "gap", pictures: Tensor(.uint8, [2, 8, 8]), labels: [0, 2])
    #expect(refusal { _ = try DrawnSet(.pictures(missing)) }?.contains("no sample of the class '1'") == true)
    let odd = try DrawnSet(.pictures(try grey(8, 8).renamed(["a", "b\n"])), size: 16)
    #expect(
      refusal { _ = try odd.write(to: folder["x"], training: 1, validation: 1) }?.contains("cannot stand in data.yaml")
        == true)
    #expect(FileManager.default.fileExists(atPath: folder["x"].string) == false)
  }

  @Test func fashionIsKnownByItsLabels() throws {
    #expect(FashionMNIST.contains(try grey(8, 8)) == false && FashionMNIST.classNames.count == 10)
  }

  @Test func reportsOfClasses() throws {
    for name in ["b/1.png", "a/1.png", "a/2.png"] {
      try FolderMaker.make(folder["classes/\(name)"])
      try ImageFile(pixels: picture(12, 20, 3)).write(to: folder["classes/\(name)"])
    }
    try folder.write([1, 2, 3], to: "classes/b/2.png")
    let set = try ClassificationSet(imageFolder: folder["classes"])
    let report = set.report()
    #expect(report.pictureCount == 3 && report.picturesByClass == [2, 1] && report.faultCount == 1)
    #expect(report.faults.first?.file.hasSuffix("b/2.png") == true)
    #expect(report.faults.first?.reason == "is neither a PNG nor a JPEG picture")
    #expect(set.report(decoding: false).pictureCount == 4)
    #expect(try grey(8, 8).report().picturesByClass == [3, 3])
  }
}
