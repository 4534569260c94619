import ModelCore
import ModelImages
import TestSupport
import Testing

extension Images {
  /// The size from a file's head is that of the decoded picture.
  @Suite struct ImageSizeTests {
    @Test func everyGolden() throws {
      let folder = try TemporaryFolder()
      var count = 0
      for (index, golden) in try PictureGolden.all.get().enumerated() {
        let file = try folder.write(golden.bytes, to: "\(index)")
        guard let decoded = try? ImageFile(contentsOf: file) else { continue }
        #expect(try ImageFile.size(of: file) == [decoded.height, decoded.width], "\(index)")
        count += 1
      }
      #expect(count > 10)
    }

    @Test func damage() throws {
      let folder = try TemporaryFolder()
      let image = try ImageFile.embeddedSample()
      for format in ImageFile.Format.allCases {
        let bytes = try image.encoded(as: format)
        for length in [0, 3, 8, 12, 20, 23, 150] where length < bytes.count {
          let file = try folder.write(bytes.prefix(length), to: "cut")
          let message = refusal { _ = try ImageFile.size(of: file) }
          #expect(
            length == 150 || message?.contains(length < 8 && format == .png || length < 3 ? "neither" : "size") == true)
        }
        // Every byte of the head may be any other: a size or an error, never more.
        for place in 0..<min(64, bytes.count) {
          for value in [0, 1, 0x7f, 0x80, 0xff] as [UInt8] {
            var changed = bytes
            changed[place] = value
            let file = try folder.write(changed, to: "changed")
            _ = try? ImageFile.size(of: file)
          }
        }
      }
    }
  }
}
