use bytes::{Bytes, BytesMut};
use polyport_wire::DecodeError;

use crate::{EncodeError, Reader, Records, Uuid, Writer};

/// A value and its layout, which may depend on the message's version.
pub trait Field: Sized + PartialEq {
    /// Reads one.
    ///
    /// # Errors
    /// If the bytes are too few, or no such value.
    fn read(reader: &mut Reader) -> Result<Self, DecodeError>;

    /// Writes it.
    ///
    /// # Errors
    /// If the message's version has no room for it.
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Reads one that may be null: a struct, unless overwritten.
    ///
    /// # Errors
    /// As [`Field::read`].
    fn read_nullable(reader: &mut Reader) -> Result<Option<Self>, DecodeError> {
        if reader.i8()? < 0 { Ok(None) } else { Self::read(reader).map(Some) }
    }

    /// Writes one that may be null.
    ///
    /// # Errors
    /// As [`Field::write`].
    fn write_nullable(value: Option<&Self>, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        match value {
            Some(value) => {
                writer.raw(&[1]);
                value.write(writer)
            }
            None => {
                writer.raw(&[0xff]);
                Ok(())
            }
        }
    }
}

impl<T: Field> Field for Option<T> {
    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        T::read_nullable(reader)
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        T::write_nullable(self.as_ref(), writer)
    }
}

/// A number: how the reader reads it; it is written big-endian.
macro_rules! number {
    ($($number:ty: $read:ident),*) => {$(
        impl Field for $number {
            #[inline]
            fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
                reader.$read()
            }

            #[inline]
            fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
                writer.raw(&self.to_be_bytes());
                Ok(())
            }
        }
    )*};
}

number!(i8: i8, i16: i16, u16: u16, i32: i32, i64: i64, f64: f64);

impl Field for bool {
    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(reader.i8()? != 0)
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.raw(&[u8::from(*self)]);
        Ok(())
    }
}

impl Field for Uuid {
    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        reader.uuid()
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.raw(&self.0);
        Ok(())
    }
}

/// What has its length before it, negative for null.
pub trait Counted: Sized + Default + PartialEq {
    /// Whether the length has two bytes.
    const SHORT: bool = false;

    /// Reads it. If `nullable`, it may be `None`.
    ///
    /// # Errors
    /// As [`Field::read`].
    fn read_counted(reader: &mut Reader, nullable: bool) -> Result<Option<Self>, DecodeError>;

    /// Writes it, after its length.
    ///
    /// # Errors
    /// As [`Field::write`].
    fn write_counted(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError>;
}

impl<T: Counted> Field for T {
    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        // What is not nullable is there.
        T::read_counted(reader, false).map(Option::unwrap_or_default)
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.write_counted(writer)
    }

    fn read_nullable(reader: &mut Reader) -> Result<Option<Self>, DecodeError> {
        T::read_counted(reader, true)
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        match value {
            Some(value) => value.write_counted(writer),
            None => writer.length(None, T::SHORT),
        }
    }
}

impl Counted for String {
    const SHORT: bool = true;

    fn read_counted(reader: &mut Reader, nullable: bool) -> Result<Option<Self>, DecodeError> {
        reader.string(nullable)
    }

    fn write_counted(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.length(Some(self.len()), Self::SHORT)?;
        writer.raw(self.as_bytes());
        Ok(())
    }
}

impl Counted for Bytes {
    fn read_counted(reader: &mut Reader, nullable: bool) -> Result<Option<Self>, DecodeError> {
        Ok(reader.bytes(nullable)?.map(BytesMut::freeze))
    }

    fn write_counted(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.length(Some(self.len()), Self::SHORT)?;
        writer.raw(self);
        Ok(())
    }
}

impl Counted for BytesMut {
    fn read_counted(reader: &mut Reader, nullable: bool) -> Result<Option<Self>, DecodeError> {
        reader.bytes(nullable)
    }

    fn write_counted(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.length(Some(self.len()), Self::SHORT)?;
        writer.raw(self);
        Ok(())
    }
}

impl Counted for Records {
    fn read_counted(reader: &mut Reader, nullable: bool) -> Result<Option<Self>, DecodeError> {
        let bytes = reader.bytes(nullable)?;
        Ok(bytes.map(|bytes| Self::Here(bytes.freeze())))
    }

    fn write_counted(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Here(bytes) => bytes.write_counted(writer),
            Self::Elsewhere { length_bytes } => {
                writer.length(Some(*length_bytes as usize), Self::SHORT)?;
                writer.gap(*length_bytes);
                Ok(())
            }
        }
    }
}

impl<T: Field> Counted for Vec<T> {
    fn read_counted(reader: &mut Reader, nullable: bool) -> Result<Option<Self>, DecodeError> {
        reader.array(nullable)
    }

    fn write_counted(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.length(Some(self.len()), Self::SHORT)?;
        self.iter().try_for_each(|item| item.write(writer))
    }
}
