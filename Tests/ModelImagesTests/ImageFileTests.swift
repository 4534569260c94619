import FoundationEssentials
import ModelCore
import ModelImages
import SystemPackage
import TestSupport
import Testing

/// The pictures of pictures.json, decoded from base64 once.
struct PictureGolden: Decodable {
  let name: String
  let file: Data
  let height: Int
  let width: Int
  let bits: Int
  let pixels: [Int]

  var bytes: [UInt8] { [UInt8](file) }
  static let all = Result { try goldens("pictures.json", of: PictureGolden.self) }
}

func decode(_ bytes: some Collection<UInt8>, pixelLimit: Int = ImageFile.defaultPixelLimit) throws -> ImageFile {
  try ImageFile(FileBytes(name: "picture", copying: bytes), pixelLimit: pixelLimit)
}

extension Images {
  @Suite struct ImageFileTests {
    /// PNG to the bit. JPEG's standard leaves the inverse transform's rounding and the interpolation of half-resolution
    /// colours to the decoder: with libjpeg-turbo on both sides the pixels are the same; other decoders may differ by a
    /// few steps.
    @Test func againstPillow() throws {
      let cases = try PictureGolden.all.get()
      #expect(cases.count > 50)
      for golden in cases {
        let image = try decode(golden.bytes)
        let name = Comment(rawValue: golden.name)
        #expect([image.height, image.width, image.bitDepth] == [golden.height, golden.width, golden.bits], name)
        #expect(image.format == (golden.name.hasPrefix("png") ? .png : .jpeg), name)
        let found = try image.pixels.doubles()
        let worst = zip(found, golden.pixels).map { abs($0 - Double($1)) }.max() ?? 999
        #expect(worst <= (image.format == .png ? 0 : 3), name)
        let planes = try atEveryLevel(name) { try image.planes() }
        #expect(planes.shape == [3, golden.height, golden.width])
        let top = golden.bits == 16 ? 65535.0 : 255
        let values = try planes.doubles()
        let area = golden.height * golden.width
        #expect((0..<found.count).allSatisfy { abs(values[$0 % 3 * area + $0 / 3] - found[$0] / top) < 1e-7 }, name)
        let again = try atEveryLevel(name) { try ImageFile(planes: planes, bitDepth: golden.bits).pixels }
        #expect(try bytes(again) == bytes(image.pixels), name)
      }
    }

    @Test func writing() throws {
      for golden in try PictureGolden.all.get() {
        let image = try decode(golden.bytes)
        let png = try decode(image.encoded(as: .png, compression: 3))
        #expect(try bytes(png.pixels) == bytes(image.pixels))
        let jpeg = try decode(image.encoded(as: .jpeg, quality: 100))
        #expect(jpeg.bitDepth == 8 && jpeg.height == image.height && jpeg.width == image.width)
      }
    }

    @Test func sixteenBitsToEight() throws {
      let values: [UInt16] = [0, 128, 129, 65535, 65406, 32767]
      let pixels = try Tensor(.uint16, [1, 2, 3]) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }
      #expect(try bytes(ImageFile(pixels: pixels).bytes()) == [0, 0, 1, 255, 254, 127])
    }

    @Test func roundingAndClamping() throws {
      let planes = try Tensor([-1, 0.5, 2, .nan, 0.3 / 255, 0.7 / 255], [3, 1, 2])
      #expect(try bytes(ImageFile(planes: planes).pixels) == [0, 255, 0, 128, 0, 1])
      #expect(try bytes(ImageFile(planes: Tensor([0, 1, 0.447], [1, 3, 1, 1])).pixels) == [0, 255, 114])
    }

    @Test func refusals() throws {
      #expect(refusal { _ = try decode([]) } == "picture: is neither a PNG nor a JPEG picture")
      #expect(refusal { _ = try ImageFile(planes: Tensor([1], [1, 1, 1])) }?.contains("[3, height, width]") == true)
      #expect(refusal { _ = try ImageFile(pixels: Tensor(.uint8, [0, 4, 3])) }?.contains("[height, width, 3]") == true)
      let sample = try ImageFile.embeddedSample()
      #expect(refusal { _ = try sample.encoded(as: .jpeg, quality: 0) } == "0 is no quality: it must be 1 to 100")
      #expect(refusal { try sample.write(to: "/nowhere/x.gif") }?.contains("has no extension of a picture") == true)
      #expect(refusal { try sample.write(to: "/nowhere/x.png") }?.contains("/nowhere/x.png: cannot be written") == true)
      let file = try PictureGolden.all.get()[0].bytes
      #expect(
        refusal { _ = try decode(file, pixelLimit: 98) }?.contains("9x11 has more than the 98 pixels that are allowed")
          == true)
      #expect(throws: Never.self) { try decode(file, pixelLimit: 99) }
    }

    /// A header of 50,000 x 1,500 pixels over a few bytes is refused before memory is taken.
    @Test func bombs() throws {
      let golden = try PictureGolden.all.get()
      var png = try #require(golden.first { $0.name == "png type 2 depth 8" }).bytes
      png.replaceSubrange(16..<24, with: [0, 0, 0xc3, 0x50, 0, 0, 5, 0xdc])
      let crc = checksum(png[12..<29])
      png.replaceSubrange(29..<33, with: (0..<4).map { UInt8(truncatingIfNeeded: crc >> UInt32(24 - 8 * $0)) })
      #expect(refusal { _ = try decode(png) }?.contains("too short for its size") == true)
      var jpeg = try #require(golden.first { $0.name == "jpeg progressive" }).bytes
      let frame = try #require((0..<jpeg.count - 1).first { jpeg[$0] == 0xff && jpeg[$0 + 1] == 0xc2 })
      jpeg.replaceSubrange(frame + 5..<frame + 9, with: [0xc3, 0x50, 0x05, 0xdc])
      #expect(refusal { _ = try decode(jpeg) }?.contains("too short for its size") == true)
    }

    /// Every truncation is refused with one line.
    @Test func truncations() throws {
      for golden in try PictureGolden.all.get() {
        let file = golden.bytes
        for length in 0..<file.count {
          let line = refusal { _ = try decode(file.prefix(length)) } ?? ""
          #expect(line.hasPrefix("picture: ") && !line.contains("\n"), "\(golden.name) cut to \(length): \(line)")
        }
      }
    }

    /// Flipped bits are refused or give a picture; nothing crashes, and what was taken is given back.
    @Test func flippedBits() throws {
      let cases = try PictureGolden.all.get()
      var state: UInt64 = 1
      func random(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % limit
      }
      var refused = 0
      func run(_ count: Int) {
        for index in 0..<count {
          var file = cases[index % cases.count].bytes
          for _ in 0...random(4) { file[random(file.count)] ^= 1 << UInt8(random(8)) }
          if (try? decode(file, pixelLimit: 1 << 20)) == nil { refused += 1 }
        }
      }
      run(2000)
      // Other tests run beside this one and take memory too; but a leak would show in every round.
      let growth = (0..<8).compactMap { _ in
        let before = residentPages()
        run(1500)
        return before.flatMap { before in residentPages().map { $0 - before } }
      }
      #expect(refused > 3000)
      // Sanitizers keep a record of all memory.
      let environment = ProcessInfo.processInfo.environment
      let isSanitized = environment["ASAN_OPTIONS"] != nil || environment["TSAN_OPTIONS"] != nil
      if let least = growth.min(), !isSanitized { #expect(least < 32) }
    }

    func residentPages() -> Int? {
      guard let file = try? FileDescriptor.open("/proc/self/statm", .readOnly) else { return nil }
      defer { try? file.close() }
      var text = [UInt8](repeating: 0, count: 200)
      guard let count = try? text.withUnsafeMutableBytes({ try file.read(into: $0) }) else { return nil }
      let words = String(decoding: text.prefix(count), as: UTF8.self).split(separator: " ")
      return words.count > 1 ? Int(words[1]) : nil
    }
  }
}
